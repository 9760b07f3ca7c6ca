"""Rescans: at most one for each scan, taken by guarded updates as scans are, and gone when they are over.

Whoever finds that no row matches has lost the rescan: not an error, but the end of their work.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from worker import clock
from worker.errors import LeaseLost
from worker.scan import PROMOTED, Cause, Scan, Status
from worker.store import events, scans
from worker.store.tables import rescans as table
from worker.store.tables import scans as scans_table

_AT_ONCE = 1000  # parameters of one statement; SQLite takes 32,766, PostgreSQL 65,535


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

    def page(self, status: Status, after: str, limit: int) -> Select[Any]:
        """Those in one state, by ascending id, and when the signatures were made: a range of that state's index, or
        of the service's. Ids carry the time of arrival."""
        seen = scans_table.c.scanner["database_time"].as_string().label("seen")
        found = select(scans_table.c.id, seen).where(scans_table.c.status == status.value, scans_table.c.id > after)
        if self.service:
            found = found.where(scans_table.c.service == self.service)
        if self.since:
            found = found.where(scans_table.c.id >= clock.first_id(self.since))
        if self.until:
            found = found.where(scans_table.c.id < clock.first_id(self.until))
        return found.order_by(scans_table.c.id).limit(limit)

    def is_stale(self, seen: str | None) -> bool:
        """Moments are on record in UTC and in one form, so that texts compare as they do (`rows.scanner_values`)."""
        cutoff = self.older_than
        return cutoff is None or seen is None or seen < cutoff.astimezone(UTC).isoformat()


def stretch(connection: Connection, wanted: Wanted, after: str, limit: int) -> tuple[list[str], str | None]:
    """The wanted ones among the next `limit` promoted scans behind an id, and the last id of those; None: there is
    none beyond. No more rows than these are read, however many there are."""
    pages = [connection.execute(wanted.page(status, after, limit)).all() for status in sorted(PROMOTED)]
    passed = sorted((row.id, row.seen) for page in pages for row in page)[:limit]
    stale = [scan_id for scan_id, seen in passed if wanted.is_stale(seen)]
    return stale, passed[-1][0] if len(passed) == limit else None


def ask(connection: Connection, asker: Asker, ids: Sequence[str], *, enqueued_at: datetime | None) -> int:
    """Put those of some scans on record that are promoted and not asked for yet; how many there were.

    In one order for everybody: who asks for the same ones at the same time must not wait for each other in a circle.
    """
    values: dict[str, Any] = {**asdict(asker), "enqueued_at": enqueued_at, "created_at": clock.now()}
    columns = [literal(value, table.c[name].type) for name, value in values.items()]
    promoted = scans_table.c.status.in_([status.value for status in PROMOTED])
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    asked = 0
    for some in _together(ids):
        found = select(scans_table.c.id, *columns).where(scans_table.c.id.in_(some), promoted)
        new = dialect.insert(table).from_select(["scan_id", *values], found.order_by(scans_table.c.id))
        statement = new.on_conflict_do_nothing().execution_options(preserve_rowcount=True)  # else unknown of inserts
        asked += connection.execute(statement).rowcount
    return asked


def count(connection: Connection, ids: Sequence[str]) -> int:
    """How many of some promoted scans are not asked for yet."""
    waiting = select(func.count()).select_from(table)
    known = (connection.execute(waiting.where(table.c.scan_id.in_(some))).scalar_one() for some in _together(ids))
    return len(ids) - sum(known)


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


def _together(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """However many they are, no database gets too many parameters at once."""
    return (ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE))


def _due(scan_id: str) -> tuple[ColumnElement[bool], ...]:
    due = or_(table.c.due_at.is_(None), table.c.due_at <= clock.now())
    return (table.c.scan_id == scan_id, table.c.lease_until.is_(None), due)


def _mine(rescan: Rescan) -> ColumnElement[bool]:
    return and_(table.c.scan_id == rescan.scan_id, table.c.token == rescan.token)


def _rescan(row: Row[Any]) -> Rescan:
    return Rescan(row.scan_id, Asker(row.actor, row.request_id, row.reason), row.attempts, row.setbacks, row.token)
