"""A page of scans at the price of a page, whatever it is narrowed to and however many scans there are.

The order is that of ids, which is the order of arrival. Where one index holds all that is asked for, the page is read
from its end. Where it takes two (a type and a service, a name and a state), the page comes from the one that reaches
furthest back with `CANDIDATES` of its rows, which are looked at one by one. Such a page may be short of its limit, also
empty, and still not be the last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Subquery, func, select, union_all

from worker import clock
from worker.scan import Scan, Status
from worker.store import findings, scans
from worker.store.rows import scan_from
from worker.store.scans import Filter
from worker.store.tables import findings as found
from worker.store.tables import scans as table

CANDIDATES = 2000  # rows that are looked at for one page; each may be a read of the disk
_TIMES = frozenset({"since", "until"})  # which ids carry, and every index holds


@dataclass(frozen=True, slots=True)
class Page:
    """Some scans, newest first."""

    items: list[Scan]
    next_cursor: str | None  # what comes next is older than this id; None: nothing does


class _Window:
    """From which moment to which, as a range of ids."""

    def __init__(self, wanted: Filter, before: str | None) -> None:
        tops = [before] if before else []
        self._top = min([*tops, clock.first_id(wanted.until)] if wanted.until else tops, default=None)
        self._bottom = clock.first_id(wanted.since) if wanted.since else None

    def cut(self, floor: str | None) -> str | None:
        """Up to here after all: an id of the millisecond after, which is nobody's, since the scan at the floor may be
        another service's. Where this is no step ahead, the floor."""
        if floor is None:
            return None
        nobodys = clock.first_id(clock.moment_of(floor) + timedelta(milliseconds=1))
        self._bottom = nobodys if self._top is None or nobodys < self._top else floor
        return self._bottom

    def of(self, ids: ColumnElement[str]) -> list[ColumnElement[bool]]:
        """What must hold for an id."""
        limits = [ids < self._top] if self._top else []
        return [*limits, ids >= self._bottom] if self._bottom else limits


@dataclass(frozen=True, slots=True)
class _Source:
    """Ids from an index, newest first: ranges of it, merged. `covers`: members of the filter that it sees to."""

    covers: frozenset[str]
    ranges: tuple[tuple[ColumnElement[bool], ...], ...] = ((),)
    ids: ColumnElement[str] = table.c.id
    order: tuple[ColumnElement[str], ...] = (table.c.id.desc(),)  # of the index: asked for otherwise, it is not used

    def newest(self, window: _Window, most: int) -> Subquery:
        """Up to `most` of its ids in the window."""
        each = [self._range(conditions, window, most).subquery() for conditions in self.ranges]
        merged: FromClause = each[0]
        if len(each) > 1:
            merged = union_all(*(select(one.c.id) for one in each)).subquery()
        return select(merged.c.id).order_by(merged.c.id.desc()).limit(most).subquery()

    def floor(self, connection: Connection, window: _Window) -> str | None:
        """The last of the candidates, older than which nothing will have been looked at. None: it has fewer."""
        candidates = self.newest(window, CANDIDATES)
        number, oldest = connection.execute(select(func.count(), func.min(candidates.c.id))).one()
        return oldest if number == CANDIDATES else None

    def _range(self, conditions: Iterable[ColumnElement[bool]], window: _Window, most: int) -> Select[Any]:
        ids = select(self.ids.label("id")).where(*conditions, *window.of(self.ids))
        return ids.order_by(*self.order).limit(most)


def page(connection: Connection, wanted: Filter, *, before: str | None = None, limit: int) -> Page:
    """Up to `limit` scans, newest first, older than the id `before`; fewer are the last only where no cursor says that
    there may be more."""
    window, sources = _Window(wanted, before), _sources(wanted)
    asked = {each.name for each in fields(wanted) if getattr(wanted, each.name)} - _TIMES
    whole = next((source for source in sources if source.covers >= asked), None)
    if whole:
        items, floor = _read(connection, wanted, whole.newest(window, limit + 1), limit), None
    else:
        floor, source = _furthest(connection, wanted, window, sources)
        floor = window.cut(floor)
        items = _read(connection, wanted, source.newest(window, CANDIDATES), limit)
    shown = items[:limit]
    return Page(shown, shown[-1].id if len(items) > limit else floor)


def _read(connection: Connection, wanted: Filter, candidates: Subquery, limit: int) -> list[Scan]:
    """Those of the candidates that meet the filter, and one more than is shown."""
    fitting = select(table).where(table.c.id.in_(select(candidates.c.id)), *scans.meeting(wanted))
    newest = fitting.order_by(table.c.id.desc()).limit(limit + 1)
    return [scan_from(row) for row in connection.execute(newest).mappings()]


def _furthest(
    connection: Connection, wanted: Filter, window: _Window, sources: list[_Source]
) -> tuple[str | None, _Source]:
    """The source that leaves the least behind, and where it stops: None at the end."""
    if wanted.name and (named := _named(connection, wanted.name, window)):
        return None, named
    floors = ((source.floor(connection, window), source) for source in sources)
    return min(floors, key=lambda each: each[0] or "")


def _named(connection: Connection, start: str, window: _Window) -> _Source | None:
    """By the name, where few are called so: that index is in no order of time."""
    order = (table.c.name_start, table.c.id)
    source = _Source(frozenset(), ((scans.named_about(start),),), order=order)
    return source if source.floor(connection, window) is None else None


def _sources(wanted: Filter) -> list[_Source]:
    """Every index that knows something of it; else that of all ids."""
    made = []
    if wanted.ids:
        made.append(_Source(frozenset({"ids"}), ((table.c.id.in_(wanted.ids),),)))
    if wanted.sha256:
        made.append(_Source(frozenset({"sha256"}), ((table.c.sha256 == wanted.sha256,),)))
    for kind, value in ((findings.SIGNATURE, wanted.signature), (findings.REASON, wanted.reason)):
        if value:
            ranges, ids = ((findings.of(kind, value),),), found.c.scan_id
            made.append(_Source(frozenset({kind}), ranges, ids, (ids.desc(),)))
    statuses = wanted.statuses or tuple(Status)
    if wanted.type:
        made.append(_by_status("type", table.c.detected_type == wanted.type, statuses))
    if wanted.service:
        made.append(_by_status("service", table.c.service == wanted.service, statuses))
    if wanted.statuses and not (wanted.type or wanted.service):
        made.append(_Source(frozenset({"statuses"}), tuple((_in(status),) for status in statuses)))
    return made or [_Source(frozenset())]


def _by_status(name: str, condition: ColumnElement[bool], statuses: Iterable[Status]) -> _Source:
    """All states are as many ranges of the index: it need not be there twice."""
    return _Source(frozenset({name, "statuses"}), tuple((condition, _in(status)) for status in statuses))


def _in(status: Status) -> ColumnElement[bool]:
    return table.c.status == status.value
