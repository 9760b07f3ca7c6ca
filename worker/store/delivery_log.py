"""Deliveries as operators look at them, and have them made again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from worker import clock
from worker.store.outbox import DeliveryStatus, first_id
from worker.store.tables import deliveries, delivery_attempts

_SHOWN = (
    deliveries.c.id,
    deliveries.c.service,
    deliveries.c.scan_id,
    deliveries.c.decision,
    deliveries.c.type,
    deliveries.c.status,
    deliveries.c.attempts,
    deliveries.c.due_at,
    deliveries.c.created_at,
    deliveries.c.finished_at,
)
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is narrowed to; empty means everything."""

    id: str | None = None
    service: str | None = None
    status: str | None = None  # one of `DeliveryStatus`
    scan_id: str | None = None
    since: datetime | None = None


def page(connection: Connection, wanted: Wanted, limit: int) -> list[Record]:
    """Up to `limit` deliveries, newest first, each with its `last_attempt`."""
    found = select(*_SHOWN).where(*_conditions(wanted)).order_by(deliveries.c.id.desc()).limit(limit)
    records = [dict(row) for row in connection.execute(found).mappings()]
    last = _last_attempts(connection, [record["id"] for record in records])
    return [record | {"last_attempt": last.get(record["id"])} for record in records]


def attempts(connection: Connection, delivery_id: str) -> list[Record]:
    """What became of each attempt, oldest first."""
    mine = select(delivery_attempts).where(delivery_attempts.c.delivery_id == delivery_id)
    return [_attempt(row) for row in connection.execute(mine.order_by(delivery_attempts.c.id)).mappings()]


def payload(connection: Connection, delivery_id: str) -> str | None:
    """The body that is sent."""
    return connection.execute(select(deliveries.c.payload).where(deliveries.c.id == delivery_id)).scalar()


def owners(connection: Connection, wanted: Wanted) -> list[str]:
    """Whose deliveries these are, in order."""
    found = select(deliveries.c.service).where(*_conditions(wanted)).distinct().order_by(deliveries.c.service)
    return list(connection.execute(found).scalars())


def make_due(connection: Connection, wanted: Wanted) -> int:
    """Have deliveries made again, at once and under the same ids, unless they are under way; how many."""
    idle = deliveries.c.lease_until.is_(None) | (deliveries.c.lease_until < clock.now())
    values = {
        "status": DeliveryStatus.PENDING.value,
        "due_at": clock.now(),
        "tried_since": None,
        "finished_at": None,
        "attempts": 0,
    }
    return connection.execute(update(deliveries).where(idle, *_conditions(wanted)).values(values)).rowcount


def _last_attempts(connection: Connection, ids: Iterable[str]) -> dict[str, Record]:
    mine = delivery_attempts.c.delivery_id.in_(list(ids))
    newest = select(func.max(delivery_attempts.c.id)).where(mine).group_by(delivery_attempts.c.delivery_id)
    found = select(delivery_attempts).where(delivery_attempts.c.id.in_(newest))
    return {row["delivery_id"]: _attempt(row) for row in connection.execute(found).mappings()}


def _attempt(row: Any) -> Record:
    return {name: row[name] for name in ("at", "url", "seconds", "status_code", "error")}


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Ids carry the time of the event, so the time range needs no index of its own."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.id:
        conditions.append(deliveries.c.id == wanted.id)
    if wanted.service:
        conditions.append(deliveries.c.service == wanted.service)
    if wanted.status:
        conditions.append(deliveries.c.status == wanted.status)
    if wanted.scan_id:
        conditions.append(deliveries.c.scan_id == wanted.scan_id)
    if wanted.since:
        conditions.append(deliveries.c.id >= first_id(wanted.since))
    return conditions
