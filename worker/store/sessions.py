"""Operators who are logged in: who they are, and until when."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from worker import clock
from worker.store.services import KeyRecord
from worker.store.tables import api_keys, sessions

_KEY = [api_keys.c[name] for name in KeyRecord.__dataclass_fields__]


class SessionRecord(NamedTuple):
    """A session, and the key that it was begun with."""

    key: KeyRecord
    expires_at: datetime


def add(connection: Connection, session_hash: str, key_hash: str, expires_at: datetime) -> None:
    """Put a session on record, as the hash of its id."""
    values = {"hash": session_hash, "key_hash": key_hash, "created_at": clock.now(), "expires_at": expires_at}
    connection.execute(insert(sessions).values(values))


def get(connection: Connection, session_hash: str) -> SessionRecord | None:
    joined = select(sessions.c.expires_at.label("session_ends"), *_KEY).join(
        api_keys, api_keys.c.hash == sessions.c.key_hash
    )
    row = connection.execute(joined.where(sessions.c.hash == session_hash)).mappings().first()
    if row is None:
        return None
    key = {name: row[name] for name in KeyRecord.__dataclass_fields__}
    return SessionRecord(KeyRecord(**key | {"scopes": tuple(row["scopes"])}), row["session_ends"])


def end(connection: Connection, session_hash: str) -> None:
    """Safe to repeat."""
    connection.execute(delete(sessions).where(sessions.c.hash == session_hash))


def forget(connection: Connection, moment: datetime) -> int:
    """Delete those that ended before then; returns how many."""
    return connection.execute(delete(sessions).where(sessions.c.expires_at < moment)).rowcount
