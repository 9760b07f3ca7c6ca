"""How things stand: what waits, what is held, and what webhooks are overdue. Each question asks for little."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, func, or_, select

from worker import clock
from worker.scan import HELD, PENDING, Status
from worker.statistics import Now, Waiting
from worker.store.tables import deliveries, endpoints, rescans, scans
from worker.store.tables.schema import UtcDateTime

_NO_TEST = datetime(2001, 1, 1, tzinfo=UTC)  # tests are due since before that, to be ahead of all others


def now(connection: Connection) -> Now:
    """Numbers of scans and rescans, by where they stand."""
    return Now(_by_status(connection, pending=True), _by_status(connection, pending=False), _queues(connection))


def webhooks(connection: Connection) -> tuple[int, datetime | None]:
    """How many have been neither delivered nor given up; and since when the oldest has been due whose receiver is not
    left in peace."""
    undelivered = deliveries.c.due_at.is_not(None)
    number = connection.execute(select(func.count()).select_from(deliveries).where(undelivered)).scalar_one()
    shut = select(endpoints.c.service).where(endpoints.c.closed_until > clock.now())
    oldest = select(func.min(deliveries.c.due_at, type_=UtcDateTime)).where(
        undelivered, deliveries.c.due_at > _NO_TEST, deliveries.c.service.not_in(shut)
    )
    return number, connection.execute(oldest).scalar_one()


def settling_since(connection: Connection) -> datetime | None:
    """When the oldest verdict was recorded that is not carried out yet."""
    settling = select(func.min(scans.c.updated_at, type_=UtcDateTime)).where(
        scans.c.finished_at.is_(None), scans.c.status == Status.SETTLING.value
    )
    since: datetime | None = connection.execute(settling).scalar_one()
    return since


def _by_status(connection: Connection, *, pending: bool) -> dict[Status, int]:
    """Pending ones, or those whose bytes are held; 0 where there are none."""
    wanted = PENDING if pending else HELD
    theirs = scans.c.finished_at.is_(None) if pending else scans.c.quarantine_key.is_not(None)
    apart = [] if pending else [scans.c.finished_at.is_not(None)]
    found = (
        select(scans.c.status, func.count())
        .where(scans.c.status.in_([status.value for status in wanted]), theirs, *apart)
        .group_by(scans.c.status)
    )
    numbers = {Status(status): number for status, number in connection.execute(found)}
    return {status: numbers.get(status, 0) for status in sorted(wanted)}


def _queues(connection: Connection) -> tuple[Waiting, ...]:
    """Since when the first has been in line, not since its arrival: it may be there once more, after days."""
    waiting = select(func.count(), func.min(scans.c.enqueued_at, type_=UtcDateTime)).where(
        scans.c.finished_at.is_(None), scans.c.status == Status.QUEUED.value
    )
    lines = [
        Waiting(queue, *connection.execute(waiting.where(scans.c.bulk.is_(in_bulk))).one())
        for queue, in_bulk in (("scans", False), ("bulk", True))
    ]
    asked = select(func.count(), func.min(rescans.c.enqueued_at, type_=UtcDateTime))
    idle = or_(rescans.c.lease_until.is_(None), rescans.c.lease_until < clock.now())
    return (*lines, Waiting("rescans", *connection.execute(asked.where(idle)).one()))
