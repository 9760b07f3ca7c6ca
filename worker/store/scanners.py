"""Scanners: what was last found out about each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from worker.store.tables import scanners


def report(connection: Connection, name: str, **found: Any) -> None:
    """Replace what is known of a scanner."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(scanners).values(name=name, **found)
    connection.execute(statement.on_conflict_do_update(index_elements=[scanners.c.name], set_=found))


def since(connection: Connection, moment: datetime) -> list[dict[str, Any]]:
    """The scanners that were checked since a moment; those of retired machines fade away."""
    fresh = select(scanners).where(scanners.c.checked_at >= moment).order_by(scanners.c.name)
    return [dict(row) for row in connection.execute(fresh).mappings()]
