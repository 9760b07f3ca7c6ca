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

from sqlalchemy import ColumnElement, Connection, Select, select, union_all

from worker import clock
from worker.scan import Scan, Status
from worker.store import findings, scans
from worker.store.rows import scan_from
from worker.store.scans import Filter
from worker.store.tables import findings as found
from worker.store.tables import scans as table

CANDIDATES = 500  # rows that are looked at for one page; each may be a read of the disk, and busy machines are slow
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

    def end(self, floor: str) -> str:
        """Where a page ends that came down to `floor`: at the beginning of the next millisecond, which is nobody's id,
        since the scan at the floor may be another service's. Where that would be no step ahead, at the floor."""
        nobodys = clock.first_id(clock.moment_of(floor) + timedelta(milliseconds=1))
        return nobodys if self._top is None or nobodys < self._top else floor

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

    def newest(self, connection: Connection, window: _Window, most: int) -> list[str]:
        """Up to `most` of its ids in the window."""
        each = [self._range(conditions, window, most) for conditions in self.ranges]
        if len(each) == 1:
            return list(connection.execute(each[0]).scalars())
        merged = union_all(*(select(one.subquery().c.id) for one in each)).subquery()
        newest = select(merged.c.id).order_by(merged.c.id.desc()).limit(most)
        return list(connection.execute(newest).scalars())

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
        ids, end = whole.newest(connection, window, limit + 1), None
        items = _read(connection, ids, Filter(), limit)
    else:
        ids = _furthest(connection, wanted, window, sources)
        end = window.end(ids[-1]) if len(ids) == CANDIDATES else None
        items = _read(connection, [each for each in ids if end is None or each >= end], wanted, limit)
    shown = items[:limit]
    return Page(shown, shown[-1].id if len(items) > limit else end)


def _read(connection: Connection, ids: list[str], wanted: Filter, limit: int) -> list[Scan]:
    """Those of some scans that meet the filter, the newest first, and one more than is shown.

    The limit inside keeps planners from looking for whatever meets the filter, by another index, and for these ids
    among it. Nor are they given the query that the ids come from: PostgreSQL may walk along all ids to join the two.
    """
    rows = select(table).where(table.c.id.in_(ids)).limit(len(ids)).subquery()
    newest = select(rows).where(*scans.meeting(wanted, rows)).order_by(rows.c.id.desc()).limit(limit + 1)
    return [scan_from(row) for row in connection.execute(newest).mappings()]


def _furthest(connection: Connection, wanted: Filter, window: _Window, sources: list[_Source]) -> list[str]:
    """Candidates from the source that leaves the least behind; fewer than `CANDIDATES` are all there are."""
    if wanted.name and (named := _named(connection, wanted.name, window)) is not None:
        return named
    each = (source.newest(connection, window, CANDIDATES) for source in sources)
    return min(each, key=lambda ids: ids[-1] if len(ids) == CANDIDATES else "")


def _named(connection: Connection, start: str, window: _Window) -> list[str] | None:
    """By the name, where few are called so: that index is in no order of time. None: many are."""
    order = (table.c.name_start, table.c.id)
    ids = _Source(frozenset(), ((scans.named_about(start),),), order=order).newest(connection, window, CANDIDATES)
    return sorted(ids, reverse=True) if len(ids) < CANDIDATES else None


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
