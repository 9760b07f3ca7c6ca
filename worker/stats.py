"""Use case: what happened, and how things stand, in numbers. Each answer takes as long with millions of scans as with
few: it reads roll-ups, and indexes of what waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection

from worker import clock
from worker.lanes import Lane
from worker.scan import HELD, PENDING, Status
from worker.statistics import Now, Outcomes, Slot, Waiting
from worker.store import rollups, standing
from worker.store.database import Database
from worker.tally import Tally

LONGEST = timedelta(days=31)  # that may be asked for; hours are kept a little longer
RESCANS = "rescans"  # these wait in a table, for room in `bulk`
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_FINE = timedelta(days=3)  # up to here in steps of an hour
_Steps = list[tuple[datetime, Tally]]


class Stats:
    """Safe to use from several threads. Everything raises `DatabaseUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lately(self, window: timedelta, service: str | None = None) -> Outcomes:
        """What ended within a window (up to `LONGEST`) until now, from the beginning of its first hour on."""
        now = clock.now()
        return self.outcomes(now - window, now, service)

    def outcomes(self, begin: datetime, end: datetime, service: str | None = None) -> Outcomes:
        """What ended from the beginning of the hour that `begin` lies in until the end of that of `end`; of a service,
        or of all. What has ended just now is counted a few seconds later, by the sweeper."""
        first, last = clock.hour_of(begin), clock.hour_of(end - timedelta.resolution) + _HOUR
        with self._database.read() as connection:
            steps = list(_read(connection, _key(service), first, last))
        total = Tally()
        for _, tally in steps:
            total.merge(tally)
        return Outcomes(
            begin=first,
            end=min(last, max(end, first)),
            total=total.statuses.total(),
            by_status={Status(name): number for name, number in total.statuses.most_common()},
            by_service={service: total.statuses.total()} if service else dict(total.services.most_common()),
            by_type=dict(total.types.most_common()),
            by_reason=dict(total.reasons.most_common()),
            bytes=total.bytes,
            latency=total.percentiles(),
            slots=_slots(steps, first, last),
        )

    def now(self, service: str | None = None) -> Now:
        """What has not ended, and what is held: of a service, or of all. Rescans are nobody's but the operators'."""
        with self._database.read() as connection:
            pending = standing.pending(connection, service)
            held = standing.held(connection, service)
            rescans = () if service else (Waiting(RESCANS, *standing.rescans_waiting(connection)),)
        numbers = Counter[Status]()
        for each in pending:
            numbers[each.status] += each.number
        return Now(
            pending={status: numbers[status] for status in Status if status in PENDING},
            held={status: held.get(status, 0) for status in Status if status in HELD},
            queues=(*(_queue(lane, pending) for lane in Lane), *rescans),
        )


def _key(service: str | None) -> str:
    """What its roll-ups are under. Raises `ValueError` for what would be everybody's."""
    if service == "":
        raise ValueError("a service has a name; expected None for all of them")
    return service or ""


def _queue(lane: Lane, pending: list[standing.Pending]) -> Waiting:
    mine = [each for each in pending if each.status is Status.QUEUED and each.lane is lane]
    oldest = min((each.oldest for each in mine if each.oldest), default=None)
    return Waiting(lane.value, sum(each.number for each in mine), oldest)


def _read(connection: Connection, service: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, Tally]]:
    """Whole days from where they are summed up, and hours before and after."""
    done = min(clock.day_of(last), rollups.until(connection, rollups.DAY))
    whole = clock.day_of(first + _DAY - timedelta.resolution)
    parts: list[tuple[str, datetime, datetime]] = [(rollups.HOUR, first, last)]
    if whole < done:
        parts = [(rollups.HOUR, first, whole), (rollups.DAY, whole, done), (rollups.HOUR, done, last)]
    for step, begin, end in parts:
        for at, counts in rollups.of(connection, service, step, begin, end):
            yield at, Tally.of(counts)


def _slots(steps: _Steps, first: datetime, last: datetime) -> tuple[Slot, ...]:
    """Every step of the time line, also those in which nothing ended."""
    width, begin_of = (_HOUR, clock.hour_of) if last - first <= _FINE else (_DAY, clock.day_of)
    counts = {at: Counter[str]() for at in _line(begin_of(first), last, width)}
    for at, tally in steps:
        counts[begin_of(at)].update(tally.statuses)
    return tuple(Slot(at, {Status(name): n for name, n in counter.items()}) for at, counter in counts.items())


def _line(first: datetime, last: datetime, width: timedelta) -> Iterator[datetime]:
    while first < last:
        yield first
        first += width
