"""Scans: inserted once, then moved by guarded updates, each with its event in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from worker import clock
from worker.scan import ALLOWED, PROMOTED, Cause, Scan, Status
from worker.store import events, outbox
from worker.store.rows import scan_from
from worker.store.tables import scans

_AT_ONCE = 1000  # parameters of one statement; SQLite takes 32,766, PostgreSQL 65,535
_ENDED = [status.value for status in Status if status.ended]


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; empty means everything."""

    ids: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    service: str | None = None
    sha256: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None  # one of the codes that keep it from being clean, or of the error that stopped it
    signature: str | None = None  # of the malware that was found, exactly
    type: str | None = None  # as detected
    name: str | None = None  # what the file's name begins with


def add(connection: Connection, scan: Scan, cause: Cause) -> None:
    """Put a new scan on record."""
    row = {column: getattr(scan, column) for column in scans.c.keys()}  # noqa: SIM118 - columns, not a dict
    connection.execute(insert(scans).values(row | {"reasons": [], "signatures": []}))
    events.add(connection, scan, None, cause)


def get(connection: Connection, scan_id: str) -> Scan | None:
    row = connection.execute(select(scans).where(scans.c.id == scan_id)).mappings().first()
    return scan_from(row) if row else None


def of_source(connection: Connection, key: str, etag: str) -> Scan | None:
    """The one scan of an object that a service wrote itself, if it was enqueued."""
    same = (scans.c.source_bucket == "", scans.c.source_key == key, scans.c.source_etag == etag)
    row = connection.execute(select(scans).where(*same)).mappings().first()
    return scan_from(row) if row else None


def from_source(connection: Connection, key: str) -> list[Scan]:
    """Every scan whose object lay, or is to lie, under this key."""
    theirs = select(scans).where(scans.c.source_bucket == "", scans.c.source_key == key)
    return [scan_from(row) for row in connection.execute(theirs).mappings()]


def move(
    connection: Connection,
    scan_id: str,
    source: Status,
    target: Status,
    cause: Cause,
    *guards: ColumnElement[bool],
    **values: Any,
) -> Scan | None:
    """The one way to change a status. None: the scan was not (or no longer) in that state; a lost race.

    `guards` narrow the update further (a worker's token, a due time); `values` are further columns to set. Moving on
    from an end opens the next decision; an end, with the webhook that tells of it, is one transaction.
    """
    if (source, target, cause.mover) not in ALLOWED:
        raise ValueError(f"{source} → {target} by {cause.mover} is no transition; see worker.scan.TRANSITIONS")
    now = clock.now()
    values |= {"status": target.value, "updated_at": now}
    if source.ended:
        values |= {"decision": scans.c.decision + 1, "finished_at": None}
    if target.ended:
        values |= {"finished_at": now, "token": None, "lease_until": None, "due_at": None}
    if target.ended and target not in PROMOTED:
        values["promoted"] = None
    statement = update(scans).where(scans.c.id == scan_id, scans.c.status == source.value, *guards)
    row = connection.execute(statement.values(values).returning(scans)).mappings().first()
    if row is None:
        return None
    scan = scan_from(row)
    events.add(connection, scan, source, cause)
    if scan.status.ended:
        outbox.add(connection, scan)
    return scan


def amend(connection: Connection, scan_id: str, *guards: ColumnElement[bool], **values: Any) -> bool:
    """Change columns other than the status. False: the guards did not match."""
    statement = update(scans).where(scans.c.id == scan_id, *guards).values(values)
    return connection.execute(statement).rowcount == 1


def amend_untouched(connection: Connection, scan: Scan, **values: Any) -> bool:
    """Change columns of a scan that nobody has moved, or marked as untidy, since it was read. False: somebody has."""
    marked = scans.c.tidy_at.is_(None) if scan.tidy_at is None else scans.c.tidy_at == scan.tidy_at
    same = (scans.c.status == scan.status.value, scans.c.decision == scan.decision, marked)
    return amend(connection, scan.id, *same, **values)


def unmoved(connection: Connection, scan: Scan) -> bool:
    """Is the scan as it was read? Nobody moves it until this transaction ends. False: somebody has."""
    same = (scans.c.id == scan.id, scans.c.status == scan.status.value, scans.c.decision == scan.decision)
    return connection.execute(select(scans.c.id).where(*same).with_for_update()).first() is not None


def page(connection: Connection, wanted: Filter, *, before: str | None = None, limit: int) -> list[Scan]:
    """Up to `limit` scans, newest first, older than the id `before`."""
    conditions = meeting(wanted)
    if before is not None:
        conditions.append(scans.c.id < before)
    statement = select(scans).where(*conditions).order_by(scans.c.id.desc()).limit(limit)
    return [scan_from(row) for row in connection.execute(statement).mappings()]


def ended(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of some scans that have ended. However many they are, no database gets too many at once."""
    wanted, found = list(ids), set[str]()
    for at in range(0, len(wanted), _AT_ONCE):
        some = scans.c.id.in_(wanted[at : at + _AT_ONCE])
        found.update(connection.execute(select(scans.c.id).where(some, scans.c.status.in_(_ENDED))).scalars())
    return found


def meeting(wanted: Filter) -> list[ColumnElement[bool]]:
    """What must hold for a scan. Ids carry the time of arrival, so the time range needs no index of its own."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.ids:
        conditions.append(scans.c.id.in_(wanted.ids))
    if wanted.statuses:
        conditions.append(scans.c.status.in_([status.value for status in wanted.statuses]))
    if wanted.service:
        conditions.append(scans.c.service == wanted.service)
    if wanted.sha256:
        conditions.append(scans.c.sha256 == wanted.sha256)
    if wanted.since:
        conditions.append(scans.c.id >= clock.first_id(wanted.since))
    if wanted.until:
        conditions.append(scans.c.id < clock.first_id(wanted.until))
    return conditions
