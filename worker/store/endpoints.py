"""The breaker of each service's receiver: how many deliveries failed in a row, and since when it is left in peace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from worker import clock
from worker.store.tables import endpoints


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a receiver has been of late."""

    failures: int = 0  # in a row
    failing_since: datetime | None = None
    closed_until: datetime | None = None

    @property
    def in_peace(self) -> bool:
        """Must nobody try now?"""
        return self.closed_until is not None and self.closed_until > clock.now()


def locked(connection: Connection, service: str) -> Endpoint:
    """As it stands; nobody else changes it, or claims a delivery to it, before the transaction's end."""
    mine = select(endpoints).where(endpoints.c.service == service).with_for_update()
    row = connection.execute(mine).first()
    if row is None:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(endpoints).values(service=service).on_conflict_do_nothing())
        row = connection.execute(mine).one()
    return Endpoint(row.failures, row.failing_since, row.closed_until)


def failed(connection: Connection, service: str, before: Endpoint, closed_until: datetime | None) -> Endpoint:
    """One failure more than `before`, which is `locked`; None: the next may try at once."""
    after = Endpoint(before.failures + 1, before.failing_since or clock.now(), closed_until)
    values = {"failures": after.failures, "failing_since": after.failing_since, "closed_until": closed_until}
    connection.execute(update(endpoints).where(endpoints.c.service == service).values(values))
    return after


def close(connection: Connection, service: str, until: datetime) -> None:
    """Leave it in peace until then, whatever it did."""
    locked(connection, service)
    connection.execute(update(endpoints).where(endpoints.c.service == service).values(closed_until=until))


def reopen(connection: Connection, service: str) -> None:
    """It is well, or somebody says so."""
    unwell = or_(endpoints.c.failures > 0, endpoints.c.closed_until.is_not(None))
    values = {"failures": 0, "failing_since": None, "closed_until": None}
    connection.execute(update(endpoints).where(endpoints.c.service == service, unwell).values(values))
