"""Scans: inserted once, then moved by guarded updates, each with its event in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    FromClause,
    Update,
    bindparam,
    func,
    insert,
    select,
    update,
)

from worker import clock, metrics
from worker.scan import ALLOWED, PROMOTED, Cause, Scan, Status
from worker.store import events, findings, outbox
from worker.store.database import after_commit
from worker.store.rows import scan_from
from worker.store.tables import scans
from worker.store.tables.schema import PREFIX_LENGTH

_AT_ONCE = 1000  # parameters of one statement; SQLite takes 32,766, PostgreSQL 65,535
_TOLD = frozenset({"reasons", "signatures", "error"})  # columns that findings are made of
_LAST = chr(0x10FFFF)
_ENDED = [status.value for status in Status if status.ended]
# Made once, and values go along as parameters: to build a statement costs several times what it costs to run it.
_THIS = scans.c.id == bindparam("this_scan")
_ADDITION, _GET, _CHANGE = insert(scans), select(scans).where(_THIS), update(scans).where(_THIS)
_MOVE = _CHANGE.where(scans.c.status == bindparam("from_status")).returning(scans)


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
    row = {column.name: getattr(scan, column.name) for column in scans.c if column is not scans.c.name_start}
    row |= {"name_start": scan.filename[:PREFIX_LENGTH], "reasons": [], "signatures": []}
    connection.execute(_ADDITION, row)
    events.add(connection, scan, None, cause)


def get(connection: Connection, scan_id: str) -> Scan | None:
    row = connection.execute(_GET, {"this_scan": scan_id}).mappings().first()
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
    values |= _consequences(source, target)
    which = {"this_scan": scan_id, "from_status": source.value}
    row = _set(connection, _MOVE.where(*guards), which, values).mappings().first()
    if row is None:
        return None
    scan = scan_from(row)
    if _is_told(scan, source, values):
        findings.replace(connection, scan)
    events.add(connection, scan, source, cause)
    if scan.status.ended:
        outbox.add(connection, scan)
        since_arrival = (scan.updated_at - scan.created_at).total_seconds() if scan.decision == 1 else None
        after_commit(connection, partial(metrics.ended, scan.service, scan.status, since_arrival))
    return scan


def _consequences(source: Status, target: Status) -> dict[str, Any]:
    """What a move changes, whoever moves."""
    now = clock.now()
    values: dict[str, Any] = {"status": target.value, "updated_at": now}
    if source.ended:
        values |= {"decision": scans.c.decision + 1, "finished_at": None, "queued_at": None}
    if target is Status.QUEUED and (source.ended or source is Status.RECEIVING):
        values["queued_at"] = now
    if target.ended:
        values |= {"finished_at": now, "token": None, "lease_until": None, "due_at": None}
    if target.ended and target not in PROMOTED:
        values["promoted"] = None
    return values


def _is_told(scan: Scan, source: Status, values: dict[str, Any]) -> bool:
    """Has there, with this move, come or gone what the scan is found by? Of most scans there never is anything."""
    if scan.status is Status.QUEUED:
        return source.ended or source is Status.SETTLING
    return bool(_TOLD & values.keys()) and (bool(scan.signatures or findings.codes(scan)) or source.ended)


def amend(connection: Connection, scan_id: str, *guards: ColumnElement[bool], **values: Any) -> bool:
    """Change columns other than the status. False: the guards did not match."""
    return _set(connection, _CHANGE.where(*guards), {"this_scan": scan_id}, values).rowcount == 1


def _set(connection: Connection, change: Update, which: dict[str, Any], values: dict[str, Any]) -> CursorResult[Any]:
    """Carry a change out. What the database computes is part of the statement, everything else a parameter."""
    computed = {name: value for name, value in values.items() if isinstance(value, ColumnElement)}
    given = {name: value for name, value in values.items() if name not in computed}
    return connection.execute(change.values(computed) if computed else change, which | given)


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
    """Up to `limit` scans, newest first, older than the id `before`; fewer are the last. However long it takes to find
    them: who cannot wait asks for a page of `listing`."""
    conditions = meeting(wanted)
    if before is not None:
        conditions.append(scans.c.id < before)
    statement = select(scans).where(*conditions).order_by(scans.c.id.desc()).limit(limit)
    return [scan_from(row) for row in connection.execute(statement).mappings()]


def ended(connection: Connection, ids: Iterable[str]) -> list[Scan]:
    """Those of some scans that have ended. However many they are, no database gets too many at once."""
    wanted, found = list(ids), list[Scan]()
    for at in range(0, len(wanted), _AT_ONCE):
        some = scans.c.id.in_(wanted[at : at + _AT_ONCE])
        rows = connection.execute(select(scans).where(some, scans.c.status.in_(_ENDED))).mappings()
        found += [scan_from(row) for row in rows]
    return found


def meeting(wanted: Filter, rows: FromClause = scans) -> list[ColumnElement[bool]]:
    """What must hold for a scan among `rows`. Ids carry the time of arrival, so that time needs no index of its own."""
    equal = ((rows.c.service, wanted.service), (rows.c.sha256, wanted.sha256), (rows.c.detected_type, wanted.type))
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal if value]
    if wanted.ids:
        conditions.append(rows.c.id.in_(wanted.ids))
    if wanted.statuses:
        conditions.append(rows.c.status.in_([status.value for status in wanted.statuses]))
    if wanted.since:
        conditions.append(rows.c.id >= clock.first_id(wanted.since))
    if wanted.until:
        conditions.append(rows.c.id < clock.first_id(wanted.until))
    if wanted.reason:
        conditions.append(findings.has(findings.REASON, wanted.reason, rows))
    if wanted.signature:
        conditions.append(findings.has(findings.SIGNATURE, wanted.signature, rows))
    if wanted.name:
        conditions += named(wanted.name, rows)
    return conditions


def named(start: str, rows: FromClause) -> list[ColumnElement[bool]]:
    """Scans whose file's name begins with this. No pattern is matched, so nothing in a name has a meaning."""
    if len(start) <= PREFIX_LENGTH:
        return [named_about(start, rows)]
    return [named_about(start, rows), func.substr(rows.c.filename, 1, len(start)) == start]


def named_about(start: str, rows: FromClause = scans) -> ColumnElement[bool]:
    """The range of an index that all of them are in, and where `start` is long perhaps others."""
    start = start[:PREFIX_LENGTH]
    return rows.c.name_start.between(start, start + _LAST * (PREFIX_LENGTH - len(start)))
