"""What operators order of files that are held in quarantine: guarded updates, each about the decision that they saw.

Whoever finds that no row matches has lost a race: against another operator, or the end of the retention.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, select

from worker import clock
from worker.lanes import Lane
from worker.scan import HELD, Cause, Promoted, Scan, Status
from worker.store import scans
from worker.store.rows import scan_from, verdict_values
from worker.store.scans import Filter
from worker.store.tables import scans as table

_FRESH = {"attempts": 0, "setbacks": 0, "error": None, "policy": None} | verdict_values(None)


def retry(connection: Connection, scan: Scan, cause: Cause, lane: Lane, *, enqueued_at: datetime | None) -> Scan | None:
    """Back to the queue, with all its attempts before it; `tidy_at` stays, for whoever may still be writing.

    `enqueued_at`: None leaves it to the sweeper to hand it over. Returns None where it is not held any more, or has
    been decided anew.
    """
    values = _FRESH | {"lane": lane.value, "enqueued_at": enqueued_at}
    return scans.move(connection, scan.id, scan.status, Status.QUEUED, cause, _as_seen(scan), **values)


def release(
    connection: Connection, scan: Scan, cause: Cause, lane: Lane, *, promoted: Promoted, over: datetime
) -> Scan | None:
    """On record as what is to be promoted. A worker takes over what seems to have been left in settling at `over`.

    None: it is not held any more, or has been decided anew.
    """
    values = {"verdict": Status.RELEASED.value, "promoted": asdict(promoted), "held": False, "lane": lane.value}
    values |= {"lease_until": over, "enqueued_at": clock.now(), "setbacks": 0}
    return scans.move(connection, scan.id, scan.status, Status.SETTLING, cause, _as_seen(scan), **values)


def held(connection: Connection, wanted: Filter, ended_before: datetime, limit: int) -> list[Scan]:
    """Up to `limit` scans that wait for somebody's decision, with their bytes; those that ended last come first."""
    found = select(table).where(*_held(wanted, ended_before)).order_by(table.c.finished_at.desc()).limit(limit)
    return [scan_from(row) for row in connection.execute(found).mappings()]


def count(connection: Connection, wanted: Filter, ended_before: datetime) -> int:
    """How many of them there are."""
    statement = select(func.count()).select_from(table).where(*_held(wanted, ended_before))
    return connection.execute(statement).scalar_one()


def _held(wanted: Filter, ended_before: datetime) -> list[ColumnElement[bool]]:
    """A range of `ix_scans_held`, whatever else is wanted: there are few of them, whatever the number of scans."""
    statuses = HELD.intersection(wanted.statuses) if wanted.statuses else HELD
    some = table.c.status.in_(sorted(status.value for status in statuses))
    narrower = scans.meeting(replace(wanted, statuses=()))
    return [some, table.c.quarantine_key.is_not(None), table.c.finished_at < ended_before, *narrower]


def _as_seen(scan: Scan) -> ColumnElement[bool]:
    return and_(table.c.quarantine_key.is_not(None), table.c.decision == scan.decision)
