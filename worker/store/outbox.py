"""The outbox: a delivery for each terminal event, added in its transaction, and kept until it has been made."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from worker import clock
from worker.scan import Scan
from worker.store.tables import deliveries, delivery_attempts, endpoints, scans, services, webhook_secrets
from worker.views import ScanView

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
TEST = "webhook.test"  # the type of an event that only says: webhooks arrive


# Made once: every end of a decision asks, and most services want no webhook.
_SECRET = select(webhook_secrets.c.service).where(
    webhook_secrets.c.service == bindparam("service"), webhook_secrets.c.expires_at.is_(None)
)
_ADDITION = insert(deliveries)


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One that is ours to make, until its lease ends."""

    id: str  # `webhook-id`
    service: str
    scan_id: str | None
    request_id: str | None
    type: str
    payload: str
    attempts: int  # before this one
    tried_since: datetime  # the first of them, or now
    token: str


def add(connection: Connection, scan: Scan) -> None:
    """Tell the scan's service, where it has a secret, that a decision has ended."""
    if connection.execute(_SECRET, {"service": scan.service}).first() is None:
        return
    type_ = f"scan.{scan.status.value}"
    data = ScanView.of(scan).model_dump(mode="json")
    body = {"type": type_, "timestamp": data["updated_at"], "data": data}
    values = _row(scan.service, type_, body) | {"scan_id": scan.id, "decision": scan.decision}
    connection.execute(_ADDITION, values)


def add_test(connection: Connection, service: str) -> str:
    """An event that says nothing about any scan, ahead of all others; its id."""
    data = {"service": service, "message": "Webhooks of this service arrive."}
    moment = clock.now().isoformat().replace("+00:00", "Z")  # as the views write it
    row = _row(service, TEST, {"type": TEST, "timestamp": moment, "data": data})
    connection.execute(_ADDITION, row | {"due_at": _LONG_AGO})
    return str(row["id"])


def claim(connection: Connection, service: str, until: datetime, *, at_once: int) -> Delivery | None:
    """Make the service's next delivery that is due ours. None: there is none, or `at_once` are under way."""
    now, mine = clock.now(), deliveries.c.service == service
    under_way = select(func.count()).select_from(deliveries).where(mine, deliveries.c.lease_until > now)
    if connection.execute(under_way).scalar_one() >= at_once:
        return None
    due = and_(mine, _due(now))
    following = select(deliveries.c.id).where(due).order_by(deliveries.c.due_at).limit(1).scalar_subquery()
    values = {
        "token": secrets.token_hex(16),
        "lease_until": until,
        "tried_since": func.coalesce(deliveries.c.tried_since, bindparam("now", now, deliveries.c.tried_since.type)),
    }
    taken = update(deliveries).where(deliveries.c.id == following, due).values(values).returning(deliveries)
    row = connection.execute(taken).first()
    return _delivery(connection, row) if row else None


def end(connection: Connection, delivery: Delivery, status: DeliveryStatus) -> bool:
    """Put its end on record. False: somebody else has it now."""
    ended = {"status": status.value, "due_at": None, "finished_at": clock.now()}
    return _let_go(connection, delivery, **ended)


def postpone(connection: Connection, delivery: Delivery, due_at: datetime) -> bool:
    """Have it tried again. False: somebody else has it now."""
    return _let_go(connection, delivery, due_at=due_at)


def log(
    connection: Connection, delivery: Delivery, at: datetime, *, url: str, seconds: float, **outcome: int | str | None
) -> None:
    """Record an attempt: `status_code` and `error`."""
    values = {"delivery_id": delivery.id, "at": at, "url": url, "seconds": seconds}
    connection.execute(insert(delivery_attempts).values(values | outcome))


def give_up_untried(connection: Connection, service: str, due_before: datetime) -> int:
    """End what has waited since then for a receiver that answers nobody; how many."""
    waited = and_(deliveries.c.service == service, deliveries.c.due_at < due_before, _due(clock.now()))
    values = {"status": DeliveryStatus.GIVEN_UP.value, "due_at": None, "finished_at": clock.now()}
    return connection.execute(update(deliveries).where(waited).values(values)).rowcount


def due_services(connection: Connection) -> list[str]:
    """Whose deliveries are due, their receivers not being left in peace; also those whose notifier was lost."""
    now = clock.now()
    in_peace = select(endpoints.c.service).where(endpoints.c.closed_until > now)
    due = exists().where(deliveries.c.service == services.c.name, _due(now))  # one look for each, however many are due
    found = select(services.c.name).where(services.c.name.not_in(in_peace), due).order_by(services.c.name)
    return list(connection.execute(found).scalars())


def delete_ended(connection: Connection, before: datetime, limit: int) -> int:
    """Forget up to `limit` deliveries that were added before, unless they are still to be made; how many."""
    old = and_(deliveries.c.id < first_id(before), deliveries.c.due_at.is_(None))
    some = select(deliveries.c.id).where(old).order_by(deliveries.c.id).limit(limit)
    return connection.execute(delete(deliveries).where(deliveries.c.id.in_(some))).rowcount


def first_id(moment: datetime) -> str:
    """The lowest id of a moment's millisecond."""
    return f"msg_{clock.first_id(moment)}"


def _due(now: datetime) -> ColumnElement[bool]:
    idle = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now)
    return and_(deliveries.c.due_at.is_not(None), deliveries.c.due_at <= now, idle)


def _row(service: str, type_: str, body: dict[str, Any]) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": f"msg_{clock.new_id()}",
        "service": service,
        "type": type_,
        "payload": json.dumps(body, separators=(",", ":")),
        "status": DeliveryStatus.PENDING.value,
        "due_at": now,
        "created_at": now,
    }


def _let_go(connection: Connection, delivery: Delivery, **values: Any) -> bool:
    mine = (deliveries.c.id == delivery.id, deliveries.c.token == delivery.token)
    values |= {"token": None, "lease_until": None, "attempts": deliveries.c.attempts + 1}
    return connection.execute(update(deliveries).where(*mine).values(values)).rowcount == 1


def _delivery(connection: Connection, row: Row[Any]) -> Delivery:
    request_id = None
    if row.scan_id is not None:
        request_id = connection.execute(select(scans.c.request_id).where(scans.c.id == row.scan_id)).scalar_one()
    return Delivery(
        id=row.id,
        service=row.service,
        scan_id=row.scan_id,
        request_id=request_id,
        type=row.type,
        payload=row.payload,
        attempts=row.attempts,
        tried_since=row.tried_since,
        token=row.token,
    )
