"""Rescans: at most one for each scan, taken by guarded updates as scans are, and gone when they are over.

Whoever finds that no row matches has lost the rescan: not an error, but the end of their work.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from worker import clock
from worker.errors import LeaseLost
from worker.scan import PROMOTED, Cause, Scan
from worker.store import events, scans
from worker.store.tables import rescans as table
from worker.store.tables import scans as scans_table


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose word a rescan is begun."""

    actor: str
    request_id: str | None
    reason: str | None  # in their own words


@dataclass(frozen=True, slots=True)
class Rescan:
    """One that is ours, until the lease ends."""

    scan_id: str
    asker: Asker
    attempts: int  # with this one
    setbacks: int
    token: str | None

    def told(self, what: str) -> str:
        """What the event says: how it ended, and on whose word it was begun."""
        why = f" ({self.asker.reason})" if self.asker.reason else ""
        return f"{what}; asked by {self.asker.actor}{why}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which scans are to be looked at again; empty means everything that is promoted."""

    service: str | None = None
    since: datetime | None = None  # of their arrival
    until: datetime | None = None
    older_than: datetime | None = None  # signatures: those that looked last, or they are of unknown age

    def range(self) -> list[ColumnElement[bool]]:
        """Ids carry the time of arrival."""
        conditions: list[ColumnElement[bool]] = []
        if self.service:
            conditions.append(scans_table.c.service == self.service)
        if self.since:
            conditions.append(scans_table.c.id >= clock.first_id(self.since))
        if self.until:
            conditions.append(scans_table.c.id < clock.first_id(self.until))
        return conditions

    def stale(self) -> ColumnElement[bool]:
        """Moments are on record in UTC and in one form, so that texts compare as they do (`rows.scanner_values`)."""
        if self.older_than is None:
            return true()
        seen = scans_table.c.scanner["database_time"].as_string()
        return or_(seen.is_(None), seen < self.older_than.astimezone(UTC).isoformat())


def ask(
    connection: Connection,
    asker: Asker,
    *wanted: ColumnElement[bool],
    enqueued_at: datetime | None,
) -> int:
    """Put those of the wanted scans on record that are promoted and not asked for yet; how many there were."""
    values: dict[str, Any] = {**asdict(asker), "enqueued_at": enqueued_at, "created_at": clock.now()}
    columns = [literal(value, table.c[name].type) for name, value in values.items()]
    # In one order for everybody: who asks for the same ones at the same time must not wait for each other in a circle.
    found = select(scans_table.c.id, *columns).where(rescannable(), *wanted).order_by(scans_table.c.id)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).from_select(["scan_id", *values], found).on_conflict_do_nothing()
    counted = statement.execution_options(preserve_rowcount=True)  # of an insert SQLAlchemy else forgets it
    return connection.execute(counted).rowcount


def count(connection: Connection, *wanted: ColumnElement[bool]) -> int:
    """How many `ask` would put on record."""
    return connection.execute(select(func.count()).select_from(scans_table).where(rescannable(), *wanted)).scalar_one()


def stretch(connection: Connection, wanted: Wanted, after: str, limit: int) -> tuple[ColumnElement[bool], str | None]:
    """The wanted ones among the next `limit` scans behind an id, and the last id of those; None: there is none beyond.

    Whatever is looked at lies in one range of an index, of which no more than so many rows are read.
    """
    within = [scans_table.c.id > after, *wanted.range()]
    some = select(scans_table.c.id).where(*within).order_by(scans_table.c.id).limit(limit).subquery()
    last, found = connection.execute(select(func.max(some.c.id), func.count()).select_from(some)).one()
    return and_(*within, scans_table.c.id <= (last or after), wanted.stale()), last if found == limit else None


def rescannable() -> ColumnElement[bool]:
    """Scans with promoted bytes that no rescan waits for."""
    promoted = scans_table.c.status.in_([status.value for status in PROMOTED])
    return and_(promoted, not_(exists().where(table.c.scan_id == scans_table.c.id)))


def get(connection: Connection, scan_id: str) -> Rescan | None:
    row = connection.execute(select(table).where(table.c.scan_id == scan_id)).first()
    return _rescan(row) if row else None


def take(connection: Connection, scan_id: str, until: datetime) -> Rescan | None:
    """Claim one that waits and is due: one attempt more. None: it is not to be had."""
    values = {"attempts": table.c.attempts + 1, "token": secrets.token_hex(16), "lease_until": until}
    taken = update(table).where(*_due(scan_id)).values(values).returning(table)
    row = connection.execute(taken).first()
    return _rescan(row) if row else None


def put_off(connection: Connection, scan_id: str, due_at: datetime) -> bool:
    """Let one that is due wait on, unclaimed: no attempt is begun. False: it is not."""
    values = {"due_at": due_at, "enqueued_at": None, "setbacks": table.c.setbacks + 1}
    return connection.execute(update(table).where(*_due(scan_id)).values(values)).rowcount == 1


def renew(connection: Connection, rescan: Rescan, until: datetime) -> bool:
    """Hold a claim until then. False: it is lost."""
    return connection.execute(update(table).where(_mine(rescan)).values(lease_until=until)).rowcount == 1


def give_back(connection: Connection, rescan: Rescan, due_at: datetime | None, *, counts: bool) -> None:
    """Have it done again, once due. `counts`: was this attempt one? Raises `LeaseLost`."""
    values: dict[str, Any] = {"token": None, "lease_until": None, "enqueued_at": None, "due_at": due_at}
    values |= {"setbacks": table.c.setbacks + 1} | ({} if counts else {"attempts": table.c.attempts - 1})
    if connection.execute(update(table).where(_mine(rescan)).values(values)).rowcount != 1:
        raise LeaseLost


def remove(connection: Connection, rescan: Rescan) -> None:
    """It is over. Raises `LeaseLost`."""
    if connection.execute(delete(table).where(_mine(rescan))).rowcount != 1:
        raise LeaseLost


def end(connection: Connection, rescan: Rescan, scan: Scan, cause: Cause, **values: Any) -> bool:
    """It is over, and moved nothing: a note in the story of its scan, and what else the record learns from it.

    False: the scan was moved on meanwhile, and is told nothing. Raises `LeaseLost`.
    """
    remove(connection, rescan)
    if not scans.unmoved(connection, scan):
        return False
    if values:
        scans.amend(connection, scan.id, **values)
    events.note(connection, scan, cause)
    return True


def take_lost(connection: Connection, until: datetime, limit: int) -> list[Rescan]:
    """Claim up to `limit` whose worker is silent, for whoever decides what follows."""
    silent = table.c.lease_until < clock.now()
    some = select(table.c.scan_id).where(silent).limit(limit)
    values = {"token": secrets.token_hex(16), "lease_until": until}
    taken = update(table).where(table.c.scan_id.in_(some), silent).values(values).returning(table)
    return [_rescan(row) for row in connection.execute(taken)]


def take_unqueued(connection: Connection, now: datetime, lost_before: datetime, limit: int) -> list[str]:
    """Mark up to `limit` as enqueued now, and return their scans: those that wait, are due and no task stands for.

    Never enqueued, due again, or enqueued before `lost_before` and not taken since.
    """
    waiting = and_(table.c.lease_until.is_(None), or_(table.c.due_at.is_(None), table.c.due_at <= now))
    untasked = or_(table.c.enqueued_at.is_(None), table.c.enqueued_at < lost_before)
    some = select(table.c.scan_id).where(waiting, untasked).limit(limit)
    taken = update(table).where(table.c.scan_id.in_(some), waiting, untasked).values(enqueued_at=now)
    return sorted(connection.execute(taken.returning(table.c.scan_id)).scalars())


def put_back(connection: Connection, ids: list[str]) -> None:
    """These were not enqueued after all."""
    connection.execute(update(table).where(table.c.scan_id.in_(ids)).values(enqueued_at=None))


def _due(scan_id: str) -> tuple[ColumnElement[bool], ...]:
    due = or_(table.c.due_at.is_(None), table.c.due_at <= clock.now())
    return (table.c.scan_id == scan_id, table.c.lease_until.is_(None), due)


def _mine(rescan: Rescan) -> ColumnElement[bool]:
    return and_(table.c.scan_id == rescan.scan_id, table.c.token == rescan.token)


def _rescan(row: Row[Any]) -> Rescan:
    return Rescan(row.scan_id, Asker(row.actor, row.request_id, row.reason), row.attempts, row.setbacks, row.token)
