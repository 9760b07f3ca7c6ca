"""How things stand: what waits, what is held, and which webhooks are overdue; from indexes of nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select, union_all

from worker import clock
from worker.lanes import Lane
from worker.scan import HELD, Status
from worker.store.tables import deliveries, endpoints, events, rescans, scans
from worker.store.tables.scans import ends
from worker.store.tables.schema import UtcDateTime

_NO_TEST = datetime(2001, 1, 1, tzinfo=UTC)  # tests are due since before that, to be ahead of all others


class Pending(NamedTuple):
    """So many scans are in this state, for one of the queues."""

    status: Status
    lane: Lane
    number: int
    oldest: datetime | None  # since when the first of them waits, where it is on record


def pending(connection: Connection, service: str | None) -> list[Pending]:
    """Everything that has not ended: of a service, or of all."""
    state = (scans.c.status, scans.c.lane)
    counted = select(*state, func.count().label("number"), func.min(scans.c.queued_at).label("oldest"))
    theirs = counted.where(scans.c.finished_at.is_(None)).group_by(*state)
    if service is not None:
        theirs = theirs.where(_is_of(service))
    return [Pending(Status(row.status), Lane(row.lane), row.number, row.oldest) for row in connection.execute(theirs)]


def uploads_waiting(connection: Connection, most: int) -> int:
    """How many uploads wait for a worker, of which no more than `most` are counted; bulk work is none."""
    some = union_all(*(_first(lane, most) for lane in Lane if lane is not Lane.BULK)).subquery()
    return min(most, connection.execute(select(func.count()).select_from(some)).scalar_one())


def _first(lane: Lane, most: int) -> Select[Any]:
    """Those that wait longest, without whom PostgreSQL reads the table from its start, where nobody waits any more."""
    waiting = (scans.c.finished_at.is_(None), scans.c.status == Status.QUEUED.value, scans.c.lane == lane.value)
    first = select(scans.c.enqueued_at).where(*waiting).order_by(scans.c.enqueued_at).limit(most)
    return select(first.subquery().c.enqueued_at)  # SQLite takes no limit in one part of a union


def ended_since(connection: Connection, moment: datetime) -> int:
    """How many decisions have ended since then."""
    ended = select(func.count()).select_from(events).where(ends, events.c.at >= moment)
    return connection.execute(ended).scalar_one()


def held(connection: Connection, service: str | None) -> dict[Status, int]:
    """What has ended and is in quarantine still, until somebody decides: of a service, or of all."""
    states = [status.value for status in HELD]
    kept = (scans.c.quarantine_key.is_not(None), scans.c.finished_at.is_not(None), scans.c.status.in_(states))
    theirs = select(scans.c.status, func.count().label("number")).where(*kept).group_by(scans.c.status)
    if service is not None:
        theirs = theirs.where(_is_of(service))
    return {Status(row.status): row.number for row in connection.execute(theirs)}


def _is_of(service: str) -> ColumnElement[bool]:
    """Said so that no planner takes the index of everything that the service ever sent."""
    return scans.c.service.concat("") == service


def rescans_waiting(connection: Connection) -> tuple[int, datetime | None]:
    """How many promoted files are to be looked at again, and since when the first of them."""
    counted = select(func.count().label("number"), func.min(rescans.c.created_at).label("oldest"))
    row = connection.execute(counted.select_from(rescans)).one()
    return row.number, row.oldest


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
