"""What this installation signs with itself, the same in every process."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from worker import clock
from worker.store.tables import secrets


def ensure(connection: Connection, name: str, drawn: str) -> str:
    """The secret of this name: what is on record, or else what was just `drawn`."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = dialect.insert(secrets).values(name=name, value=drawn, created_at=clock.now())
    connection.execute(new.on_conflict_do_nothing())
    return str(connection.execute(select(secrets.c.value).where(secrets.c.name == name)).scalar_one())
