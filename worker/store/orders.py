"""What operators order of files that are held in quarantine: guarded updates, each about the decision that they saw.

Whoever finds that no row matches has lost a race: against another operator, or the end of the retention.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_

from worker import clock
from worker.scan import HELD, Cause, Promoted, Scan, Status
from worker.store import scans
from worker.store.rows import verdict_values
from worker.store.tables import scans as table

_FRESH = {"attempts": 0, "setbacks": 0, "error": None, "policy": None} | verdict_values(None)


def retry(connection: Connection, scan: Scan, cause: Cause, *, bulk: bool) -> Scan | None:
    """Back to the queue, with all its attempts before it; `tidy_at` stays, for whoever may still be writing.

    None: it is not held any more, or has been decided anew.
    """
    values = _FRESH | {"bulk": bulk, "enqueued_at": clock.now()}
    return scans.move(connection, scan.id, scan.status, Status.QUEUED, cause, _as_seen(scan), **values)


def release(connection: Connection, scan: Scan, cause: Cause, promoted: Promoted, over: datetime) -> Scan | None:
    """On record as what is to be promoted. A worker takes over what seems to have been left in settling at `over`.

    None: it is not held any more, or has been decided anew.
    """
    values = {"verdict": Status.RELEASED.value, "promoted": asdict(promoted), "held": False, "bulk": False}
    values |= {"lease_until": over, "enqueued_at": clock.now(), "setbacks": 0}
    return scans.move(connection, scan.id, scan.status, Status.SETTLING, cause, _as_seen(scan), **values)


def retryable() -> ColumnElement[bool]:
    """Scans that wait for somebody's decision, with their bytes."""
    return and_(table.c.status.in_([status.value for status in HELD]), table.c.quarantine_key.is_not(None))


def _as_seen(scan: Scan) -> ColumnElement[bool]:
    return and_(table.c.quarantine_key.is_not(None), table.c.decision == scan.decision)
