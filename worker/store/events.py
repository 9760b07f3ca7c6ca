"""Events: one per transition, and notes that move nothing; only ever added."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from worker import clock
from worker.scan import OUTCOMES, Cause, Event, Scan, Status
from worker.store import findings
from worker.store.tables import events

_ADDITION = insert(events).inline()  # made once: every move pays for it; nobody asks for the number of its row


def add(connection: Connection, scan: Scan, source: Status | None, cause: Cause) -> None:
    """Record that `scan` has just come from `source` (None: from nowhere)."""
    _add(connection, scan, scan.updated_at, source, cause, **_outcome(scan))


def note(connection: Connection, scan: Scan, cause: Cause) -> None:
    """Record what has just happened to `scan` and moved it nowhere: from its status to the same. No decision ends."""
    _add(connection, scan, clock.now(), scan.status, cause)


def _add(connection: Connection, scan: Scan, at: datetime, source: Status | None, cause: Cause, **outcome: Any) -> None:
    row = {
        "scan_id": scan.id,
        "at": at,
        "actor": cause.actor or cause.mover.value,
        "source": source.value if source else None,
        "target": scan.status.value,
        "reason": cause.reason,
        "decision": scan.decision,
        "request_id": cause.request_id or scan.request_id,
    }
    connection.execute(_ADDITION, row | outcome)


def _outcome(scan: Scan) -> dict[str, Any]:
    """What statistics count; the scan itself may be decided anew, and forget it."""
    if scan.status not in OUTCOMES:
        return {}
    seconds = (scan.updated_at - scan.queued_at).total_seconds() if scan.queued_at else None
    return {"codes": ",".join(findings.codes(scan)) or None, "seconds": seconds}


def of(connection: Connection, scan_id: str) -> list[Event]:
    """The story of a scan, oldest first."""
    mine = select(events).where(events.c.scan_id == scan_id).order_by(events.c.id)
    return [
        Event(
            at=row.at,
            actor=row.actor,
            source=Status(row.source) if row.source else None,
            target=Status(row.target),
            reason=row.reason,
            decision=row.decision,
            request_id=row.request_id,
        )
        for row in connection.execute(mine)
    ]


def count(connection: Connection, scan: Scan, reason: str) -> int:
    """How often this happened to a scan in its present decision."""
    same = (events.c.scan_id == scan.id, events.c.decision == scan.decision, events.c.reason == reason)
    return connection.execute(select(func.count()).select_from(events).where(*same)).scalar_one()
