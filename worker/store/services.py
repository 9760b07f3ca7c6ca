"""Services and their API keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from worker import clock
from worker.store.tables import api_keys, services

_USE_IS_KEPT = timedelta(minutes=1)  # to that precision: not every request writes


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key; the key itself is not."""

    prefix: str
    service: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    lifetime: int | None  # seconds

    def valid_at(self, moment: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)


_KEYS = select(*(api_keys.c[name] for name in KeyRecord.__dataclass_fields__)).order_by(
    api_keys.c.created_at, api_keys.c.prefix
)
_KEY = _KEYS.where(api_keys.c.hash == bindparam("this_hash"))  # made once: every request asks


def add(connection: Connection, name: str) -> bool:
    """Put a service on record. False: it is there already, and stays as it is."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(services).values(name=name, created_at=clock.now())
    added = statement.on_conflict_do_nothing().returning(services.c.name)
    return connection.execute(added).first() is not None


def exists(connection: Connection, name: str) -> bool:
    return connection.execute(select(services.c.name).where(services.c.name == name)).first() is not None


def all_names(connection: Connection) -> dict[str, datetime]:
    """Every service, by name, and since when it is on record."""
    found = select(services.c.name, services.c.created_at).order_by(services.c.name)
    return {row.name: row.created_at for row in connection.execute(found)}


def add_key(
    connection: Connection, *, key_hash: str, prefix: str, service: str, scopes: list[str], lifetime: int | None = None
) -> datetime | None:
    """Put a key on record, as its hash; returns when it expires. `lifetime` in seconds; None: for good."""
    now = clock.now()
    expires_at = None if lifetime is None else now + timedelta(seconds=lifetime)
    values = {"hash": key_hash, "prefix": prefix, "service": service, "scopes": scopes, "lifetime": lifetime}
    connection.execute(insert(api_keys).values(values | {"created_at": now, "expires_at": expires_at}))
    return expires_at


def key(connection: Connection, key_hash: str) -> KeyRecord | None:
    """The key with this hash."""
    return next(iter(_found(connection, _KEY, this_hash=key_hash)), None)


def keys_called(connection: Connection, prefix: str) -> list[KeyRecord]:
    """The keys with this public prefix: one, but for those that came from the environment."""
    return _found(connection, _KEYS.where(api_keys.c.prefix == prefix))


def all_keys(connection: Connection, service: str | None) -> list[KeyRecord]:
    """Every key, or those of one service, the oldest first."""
    return _found(connection, _KEYS.where(api_keys.c.service == service) if service else _KEYS)


def expire_key(connection: Connection, prefix: str, moment: datetime) -> None:
    """Let keys end then that would be valid for longer; what has ended stays so."""
    later = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > moment)
    connection.execute(update(api_keys).where(api_keys.c.prefix == prefix, later).values(expires_at=moment))


def revoke_key(connection: Connection, prefix: str) -> None:
    valid = (api_keys.c.prefix == prefix, api_keys.c.revoked_at.is_(None))
    connection.execute(update(api_keys).where(*valid).values(revoked_at=clock.now()))


def is_use_known(record: KeyRecord, now: datetime) -> bool:
    """Is it on record already that the key is in use?"""
    return record.last_used_at is not None and now < record.last_used_at + _USE_IS_KEPT


def record_use(connection: Connection, key_hash: str, now: datetime) -> None:
    """The key is in use; of many who say so at once one writes."""
    unknown = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= now - _USE_IS_KEPT)
    connection.execute(update(api_keys).where(api_keys.c.hash == key_hash, unknown).values(last_used_at=now))


def _found(connection: Connection, statement: Select[Any], **values: str) -> list[KeyRecord]:
    rows = connection.execute(statement, values).mappings()
    return [KeyRecord(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
