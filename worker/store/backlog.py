"""What was left behind: the sweeper's questions. Each asks for little, whatever the number of rows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from worker.lanes import Lane
from worker.scan import HELD, Scan, Status
from worker.store.rows import scan_from
from worker.store.tables import scans as table


def lost_workers(now: datetime) -> ColumnElement[bool]:
    """Scans under examination whose worker is silent."""
    return and_(table.c.status == Status.SCANNING.value, table.c.lease_until < now)


def abandoned_uploads(now: datetime) -> ColumnElement[bool]:
    """Uploads whose API process is silent."""
    return and_(table.c.status == Status.RECEIVING.value, table.c.lease_until < now)


def held_before(moment: datetime, service: str | None, others: Collection[str]) -> ColumnElement[bool]:
    """Files that have been held in quarantine since before `moment`: of a service, or of all but `others`."""
    held = table.c.status.in_([status.value for status in HELD])
    whose = table.c.service == service if service else table.c.service.not_in(others)
    return and_(held, table.c.quarantine_key.is_not(None), table.c.finished_at < moment, whose)


def untidy(now: datetime) -> ColumnElement[bool]:
    """Scans that have ended and whose buckets are due to be looked at."""
    return and_(table.c.tidy_at <= now, table.c.finished_at.is_not(None))


def find(connection: Connection, condition: ColumnElement[bool], limit: int) -> list[Scan]:
    """Up to `limit` scans, the oldest first; behind them those whose tidying was put off."""
    found = select(table).where(condition).order_by(table.c.tidy_at, table.c.id).limit(limit)
    return [scan_from(row) for row in connection.execute(found).mappings()]


def take_unqueued(connection: Connection, now: datetime, lost_before: datetime, limit: int, lane: Lane) -> list[str]:
    """Mark up to `limit` scans of a queue as enqueued now, and return them, the oldest first: those that no task
    stands for.

    Never enqueued, due again, left in settling, or enqueued before `lost_before` and not taken since.
    """
    waiting = and_(table.c.status == Status.QUEUED.value, or_(table.c.due_at.is_(None), table.c.due_at <= now))
    left = and_(table.c.status == Status.SETTLING.value, table.c.lease_until < now)
    # Each of the four is a range of `ix_scans_pending`; the same in fewer words has the whole backlog looked at.
    untasked = (table.c.enqueued_at.is_(None), table.c.enqueued_at < lost_before)
    queue = table.c.lane == lane.value
    ranges = [and_(state, queue, enqueued) for state in (waiting, left) for enqueued in untasked]
    unqueued = and_(table.c.finished_at.is_(None), or_(*ranges))
    # By arrival, as ids are, but no index has it: along that of the ids PostgreSQL would look at every scan there is.
    some = select(table.c.id).where(unqueued).order_by(table.c.created_at, table.c.id).limit(limit)
    taken = update(table).where(table.c.id.in_(some), unqueued).values(enqueued_at=now).returning(table.c.id)
    return sorted(connection.execute(taken).scalars())


def put_back(connection: Connection, ids: list[str]) -> None:
    """These were not enqueued after all."""
    connection.execute(update(table).where(table.c.id.in_(ids)).values(enqueued_at=None))
