"""The right to work on a scan: taken, kept and used by guarded updates, each of which carries the claim's token.

Whoever finds that no row matches has lost the scan: not an error, but the end of their work.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, or_

from worker import clock
from worker.errors import LeaseLost
from worker.scan import Cause, Scan, Status
from worker.store import findings, scans
from worker.store.tables import scans as table

# Made once; the moment is that of the call.
_NOW = bindparam("now", callable_=lambda: clock.now(), type_=table.c.due_at.type)
_DUE = or_(table.c.due_at.is_(None), table.c.due_at <= _NOW)
_ONE_MORE = table.c.attempts + 1


def take(connection: Connection, scan_id: str, cause: Cause, until: datetime) -> Scan | None:
    """Claim a waiting scan that is due: `scanning`, one attempt more. None: it is not to be had."""
    values = {"attempts": _ONE_MORE, "token": _new_token(), "lease_until": until}
    return scans.move(connection, scan_id, Status.QUEUED, Status.SCANNING, cause, _DUE, **values)


def take_over(connection: Connection, scan_id: str, until: datetime, tidy_at: datetime) -> Scan | None:
    """Claim a scan whose settling was left. Whoever left it may still be writing: the buckets are looked at again
    after `tidy_at`. None: it is not to be had."""
    left = (table.c.status == Status.SETTLING.value, table.c.lease_until < clock.now())
    if not scans.amend(connection, scan_id, *left, token=_new_token(), lease_until=until, tidy_at=tidy_at):
        return None
    return scans.get(connection, scan_id)


def renew(connection: Connection, scan: Scan, until: datetime) -> bool:
    """Hold a claim until then. False: it is lost."""
    return scans.amend(connection, scan.id, _mine(scan.token), lease_until=until)


def renew_upload(connection: Connection, scan_id: str, until: datetime) -> bool:
    """Hold an upload that is being received until then. False: it was given up."""
    return scans.amend(connection, scan_id, table.c.status == Status.RECEIVING.value, lease_until=until)


def mark_broken_off(connection: Connection, scan_id: str, tidy_at: datetime) -> bool:
    """Have the sweeper look, after `tidy_at`, at what an upload that is over has left. False: it was accepted, which
    is what puts the SHA-256 on record."""
    return scans.amend(connection, scan_id, table.c.sha256.is_(None), tidy_at=tidy_at)


def held(connection: Connection, claimed: Scan) -> Scan:
    """The scan as it stands now, for whoever claimed it. Raises `LeaseLost`."""
    scan = scans.get(connection, claimed.id)
    if scan is None or scan.token != claimed.token:
        raise LeaseLost
    return scan


def move(connection: Connection, scan: Scan, target: Status, cause: Cause, **values: Any) -> Scan:
    """Change the status as the holder of `scan.token`. Raises `LeaseLost`."""
    moved = scans.move(connection, scan.id, scan.status, target, cause, _mine(scan.token), **values)
    if moved is None:
        raise LeaseLost
    return moved


def amend(connection: Connection, scan: Scan, **values: Any) -> None:
    """Change other columns, also those of the verdict, as the holder of `scan.token`. Raises `LeaseLost`."""
    mine = (table.c.status == scan.status.value, _mine(scan.token))
    if not scans.amend(connection, scan.id, *mine, **values):
        raise LeaseLost
    if "reasons" in values:
        findings.replace(connection, held(connection, scan))


def postpone(connection: Connection, scan_id: str, due_at: datetime, error: dict[str, Any]) -> bool:
    """Let a scan that is due wait on, unclaimed: no attempt is begun and no event written. False: it is not."""
    waiting = (table.c.status == Status.QUEUED.value, _DUE)
    values = {"due_at": due_at, "enqueued_at": None, "error": error, "setbacks": table.c.setbacks + 1}
    return scans.amend(connection, scan_id, *waiting, **values)


def _mine(token: str | None) -> ColumnElement[bool]:
    return table.c.token == token


def _new_token() -> str:
    return secrets.token_hex(16)
