"""Use case: statistics are kept as roll-ups. Each step is counted from the events and replaced as a whole, so that
counting is safe to repeat, to interrupt, and to do at several places at once."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta

from worker import clock
from worker.store import rollups
from worker.store.database import Database
from worker.tally import End, Tally, tallies

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS_KEPT = timedelta(days=40)  # for the windows that may be asked for; of what is older there are days
_GRACE = timedelta(minutes=5)  # within which whoever put an end on record has committed, or never will
_BACKLOG_SECONDS = 1.0  # of one sweep, for hours that are over: after a migration there may be years of them
_PAUSE_SECONDS = 5.0  # between two counts of hours that go on,
_SHARE = 20  # or so many times as long as the last one took
_FORGOTTEN = 5000  # rows at a time


class RollUps:
    """One per sweeper, or for a repair."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open_at = 0.0  # monotonic: when hours that go on are counted again

    def keep(self) -> int:
        """Count what has ended since the last time. Returns how many hours were counted for good."""
        counted, give_up_at = 0, time.monotonic() + _BACKLOG_SECONDS
        while time.monotonic() < give_up_at and self._close_next():
            counted += 1
        if counted:
            self._close_days()
            self._forget()
        if time.monotonic() >= self._open_at:
            begun = time.monotonic()
            self._count_open()
            self._open_at = time.monotonic() + max(_PAUSE_SECONDS, _SHARE * (time.monotonic() - begun))
        return counted

    def repair(self, since: datetime) -> Generator[tuple[datetime, datetime], None, None]:
        """Count everything anew since then. Yields, after each hour, which it was and where it will end."""
        first, last = self._first(since), clock.hour_of(clock.now())
        for at in _steps(first, last, HOUR):
            self._count(at)
            yield at, last
        with self._database.read() as connection:
            done = rollups.until(connection, rollups.DAY)
        for at in _steps(clock.day_of(first), done - DAY, DAY):
            self._sum_up(at)

    def _first(self, since: datetime) -> datetime:
        """The first hour of a day for which there is, or should be, anything."""
        with self._database.read() as connection:
            known = (rollups.next_end(connection, since), rollups.next_hour(connection, since))
        return clock.day_of(min((each for each in known if each), default=clock.now()))

    def _close_next(self) -> bool:
        """The next hour that is over and in which something ended. False: there is none."""
        over = clock.hour_of(clock.now() - _GRACE)
        with self._database.read() as connection:
            done = rollups.until(connection, rollups.HOUR)
            found = rollups.next_end(connection, done) if done < over else None
        at = min(clock.hour_of(found), over) if found else over
        if at < over:
            return self._count(at, done)
        if done < over:
            with self._database.write() as connection:
                rollups.advance(connection, rollups.HOUR, done, over)
        return False

    def _count_open(self) -> None:
        """Hours in which something may still end, or be committed."""
        now = clock.now()
        for at in _steps(clock.hour_of(now - _GRACE), clock.hour_of(now), HOUR):
            self._count(at)

    def _count(self, at: datetime, done: datetime | None = None) -> bool:
        """One hour; for good where it is `done` up to there. False: it was counted for good meanwhile."""
        with self._database.read(streamed=True) as connection:
            before = rollups.until(connection, rollups.HOUR)
            made = tallies(map(End._make, rollups.ends(connection, at, at + HOUR)))
        documents = {service: tally.document() for service, tally in made.items() if tally.statuses}
        with self._database.write() as connection:
            if done is not None:
                moved = rollups.advance(connection, rollups.HOUR, done, at + HOUR)
            else:
                now_until = rollups.until(connection, rollups.HOUR, locked=True)
                moved = not before <= at < now_until
            if moved:
                rollups.replace(connection, rollups.HOUR, at, documents)
        return moved

    def _close_days(self) -> None:
        """Days all of whose hours are counted for good."""
        while True:
            with self._database.read() as connection:
                done = rollups.until(connection, rollups.DAY)
                over = clock.day_of(rollups.until(connection, rollups.HOUR))
                found = rollups.next_hour(connection, done) if done < over else None
            at = min(clock.day_of(found), over) if found else over
            if done >= over:
                return
            if at < over:
                self._sum_up(at)
            with self._database.write() as connection:
                rollups.advance(connection, rollups.DAY, done, min(at + DAY, over))

    def _sum_up(self, at: datetime) -> None:
        """One day, from its hours."""
        made: dict[str, Tally] = {}
        with self._database.read(streamed=True) as connection:
            for service, counts in rollups.of_everybody(connection, at, at + DAY):
                made.setdefault(service, Tally()).merge(Tally.of(counts))
        with self._database.write() as connection:
            documents = {service: tally.document() for service, tally in made.items()}
            rollups.replace(connection, rollups.DAY, at, documents)

    def _forget(self) -> None:
        with self._database.read() as connection:
            before = min(clock.day_of(clock.now() - HOURS_KEPT), rollups.until(connection, rollups.DAY))
        with self._database.write() as connection:
            rollups.forget(connection, before, _FORGOTTEN)


def _steps(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += step
