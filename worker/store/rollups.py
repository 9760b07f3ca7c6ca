"""Roll-ups: what they are made of, and themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from worker.store.tables import events, rolled_up, rollups, scans
from worker.store.tables.scans import ends as is_end

HOUR, DAY = "hour", "day"
_AT_ONCE = 5000  # rows in memory
_MOVED = events.c.source.is_distinct_from(events.c.target)  # a note about what has ended is no end


def ends(connection: Connection, begin: datetime, end: datetime) -> Iterator[Sequence[Any]]:
    """Every end of a decision in this time, as `worker.tally.End` has it; a few at a time are in memory."""
    within = (is_end, _MOVED, events.c.at >= begin, events.c.at < end)
    found = (scans.c.service, events.c.target, scans.c.detected_type, events.c.codes, scans.c.size, events.c.seconds)
    told = select(*found).select_from(events).join(scans, scans.c.id == events.c.scan_id).where(*within)
    yield from connection.execute(told, execution_options={"yield_per": _AT_ONCE})


def next_end(connection: Connection, moment: datetime) -> datetime | None:
    """When the first decision ended since then."""
    first: datetime | None = connection.execute(
        select(func.min(events.c.at)).where(is_end, events.c.at >= moment)
    ).scalar_one()
    return first


def until(connection: Connection, step: str, *, locked: bool = False) -> datetime:
    """Up to when steps are counted for good. `locked`: until the end of the transaction nobody moves it."""
    progress = select(rolled_up.c.until).where(rolled_up.c.step == step)
    moment: datetime = connection.execute(progress.with_for_update() if locked else progress).scalar_one()
    return moment


def advance(connection: Connection, step: str, source: datetime, target: datetime) -> bool:
    """Count as done up to `target`. False: somebody else has moved it on."""
    mine = update(rolled_up).where(rolled_up.c.step == step, rolled_up.c.until == source)
    return connection.execute(mine.values(until=target)).rowcount == 1


def replace(connection: Connection, step: str, at: datetime, documents: Mapping[str, dict[str, Any]]) -> None:
    """Everything about one step, by service."""
    connection.execute(delete(rollups).where(rollups.c.step == step, rollups.c.at == at))
    rows = [{"service": name, "step": step, "at": at, "counts": counts} for name, counts in documents.items()]
    if rows:
        connection.execute(insert(rollups), rows)


def of(
    connection: Connection, service: str, step: str, begin: datetime, end: datetime
) -> list[tuple[datetime, dict[str, Any]]]:
    """One service's steps in this time, or, under the empty name, those of all together."""
    mine = (rollups.c.service == service, rollups.c.step == step, rollups.c.at >= begin, rollups.c.at < end)
    found = connection.execute(select(rollups.c.at, rollups.c.counts).where(*mine).order_by(rollups.c.at))
    return [(row.at, row.counts) for row in found]


def of_everybody(connection: Connection, begin: datetime, end: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every service's hours in this time."""
    theirs = (rollups.c.step == HOUR, rollups.c.at >= begin, rollups.c.at < end)
    found = select(rollups.c.service, rollups.c.counts).where(*theirs)
    for row in connection.execute(found, execution_options={"yield_per": _AT_ONCE}):
        yield row.service, row.counts


def next_hour(connection: Connection, moment: datetime) -> datetime | None:
    """The first hour since then of which there is something."""
    theirs = (rollups.c.step == HOUR, rollups.c.at >= moment)
    first: datetime | None = connection.execute(select(func.min(rollups.c.at)).where(*theirs)).scalar_one()
    return first


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Up to `limit` rows of hours whose days are there."""
    old = select(rollups.c.at).where(rollups.c.step == HOUR, rollups.c.at < before).order_by(rollups.c.at).limit(limit)
    last = connection.execute(select(func.max(old.subquery().c.at))).scalar_one()
    if last is None:
        return 0
    return connection.execute(delete(rollups).where(rollups.c.step == HOUR, rollups.c.at <= last)).rowcount
