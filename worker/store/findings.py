"""What keeps scans from being clean, beside their rows: scans are found by it, and events tell it for ever."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, FromClause, delete, exists, insert

from worker.scan import Scan, Status
from worker.store.tables import findings

REASON, SIGNATURE = "reason", "signature"
_LONGEST = 255  # characters of a value, as of a signature's name, that an index must be able to hold


def codes(scan: Scan) -> list[str]:
    """Why it is not clean: the codes of its reasons, and of the error that ended it; in alphabetical order."""
    found = {reason.code for reason in scan.reasons}
    if scan.status is Status.FAILED and scan.error:
        found.add(str(scan.error["code"]))
    return sorted(found)


def replace(connection: Connection, scan: Scan) -> None:
    """From now on the scan is found by what its record says, and by nothing else."""
    connection.execute(delete(findings).where(findings.c.scan_id == scan.id))
    found = {(REASON, code) for code in codes(scan)} | {(SIGNATURE, name[:_LONGEST]) for name in scan.signatures}
    if found:
        rows = [{"kind": kind, "value": value, "scan_id": scan.id} for kind, value in sorted(found)]
        connection.execute(insert(findings), rows)


def of(kind: str, value: str) -> ColumnElement[bool]:
    """Findings of this kind that say exactly this."""
    return (findings.c.kind == kind) & (findings.c.value == value[:_LONGEST])


def has(kind: str, value: str, rows: FromClause) -> ColumnElement[bool]:
    """Scans among `rows` with such a finding."""
    return exists().where(findings.c.scan_id == rows.c.id, of(kind, value))
