"""Idempotency keys: in flight (leased to a request), or bound to the scan that the request led to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from worker.store.tables import idempotency_keys as table


@dataclass(frozen=True, slots=True)
class Held:
    """A key in flight; whoever knows the token may bind, renew or release it."""

    service: str
    key: str
    token: str


@dataclass(frozen=True, slots=True)
class Bound:
    """What a key led to. `fingerprint`: SHA-256 of the request, in hex."""

    fingerprint: str
    scan_id: str


def reserve(connection: Connection, held: Held, now: datetime, until: datetime, over_before: datetime) -> bool:
    """Take a key that is new, whose lease is over, or that is older than `over_before`. False: it is somebody's."""
    values = {"token": held.token, "lease_until": until, "fingerprint": None, "scan_id": None, "created_at": now}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = dialect.insert(table).values(service=held.service, key=held.key, **values).on_conflict_do_nothing()
    if connection.execute(new.returning(table.c.key)).first():  # psycopg counts no rows of an INSERT
        return True
    over = or_(table.c.lease_until < now, and_(table.c.lease_until.is_(None), table.c.created_at < over_before))
    taken = update(table).where(_same(held.service, held.key), over).values(values)
    return connection.execute(taken).rowcount == 1


def bound(connection: Connection, service: str, key: str) -> Bound | None:
    """What a key led to. None: it is in flight, or was never reserved."""
    row = connection.execute(select(table).where(_same(service, key), table.c.scan_id.is_not(None))).first()
    return Bound(row.fingerprint, row.scan_id) if row else None


def renew(connection: Connection, held: Held, until: datetime) -> bool:
    """Hold a key until then. False: somebody else has it."""
    return _amend(connection, held, lease_until=until)


def bind(connection: Connection, held: Held, what: Bound, now: datetime) -> bool:
    """Say, in the transaction that accepts a request, what its key leads to. False: somebody else has the key."""
    values = {"lease_until": None, "fingerprint": what.fingerprint, "scan_id": what.scan_id, "created_at": now}
    return _amend(connection, held, **values)


def release(connection: Connection, held: Held) -> None:
    """Forget a key that led to nothing; one that is bound, or somebody else's, stays."""
    connection.execute(delete(table).where(*_in_flight(held)))


def forget(connection: Connection, now: datetime, before: datetime, limit: int) -> int:
    """Delete up to `limit` keys that are older than `before` and not in flight; how many there were."""
    over = and_(table.c.created_at < before, or_(table.c.lease_until.is_(None), table.c.lease_until < now))
    found = select(table.c.service, table.c.key).where(over).limit(limit)
    return connection.execute(delete(table).where(tuple_(table.c.service, table.c.key).in_(found), over)).rowcount


def _amend(connection: Connection, held: Held, **values: Any) -> bool:
    return connection.execute(update(table).where(*_in_flight(held)).values(values)).rowcount == 1


def _in_flight(held: Held) -> tuple[ColumnElement[bool], ...]:
    return _same(held.service, held.key), table.c.token == held.token, table.c.lease_until.is_not(None)


def _same(service: str, key: str) -> ColumnElement[bool]:
    return and_(table.c.service == service, table.c.key == key)
