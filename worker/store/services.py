"""Services and their API keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from worker import clock
from worker.store.tables import api_keys, services


def add(connection: Connection, name: str) -> None:
    """Put a service on record; one that is there already stays as it is."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(services).values(name=name, created_at=clock.now())
    connection.execute(statement.on_conflict_do_nothing())


def add_key(
    connection: Connection, *, key_hash: str, prefix: str, service: str, scopes: list[str], expires_at: datetime | None
) -> None:
    """Put a key on record, as its hash."""
    values = {"hash": key_hash, "prefix": prefix, "service": service, "scopes": scopes}
    connection.execute(insert(api_keys).values(values | {"created_at": clock.now(), "expires_at": expires_at}))


def key(connection: Connection, key_hash: str) -> Row[tuple[object, ...]] | None:
    """The key with this hash: `prefix`, `service`, `scopes`, `expires_at`, `revoked_at`."""
    return connection.execute(select(api_keys).where(api_keys.c.hash == key_hash)).first()
