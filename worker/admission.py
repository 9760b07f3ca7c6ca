"""Use case: may another upload begin? Not behind a line that is too long, nor onto a disk that is nearly full.

Whoever is refused has sent nothing yet, and is told when to come back. What was taken in once ends, however long that
takes: neither files that lie in quarantine already nor what operators order is ever refused.
"""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from worker import clock, metrics, telemetry
from worker.errors import DatabaseUnavailable, LazarettoError
from worker.instruments import Refused
from worker.settings import MIB, Settings
from worker.store import standing
from worker.store.database import Database
from worker.telemetry import Log

_FRESH = 1.0  # seconds that one look holds: it costs two statements, and many uploads come within a second
_LATELY = timedelta(seconds=10)  # how long the speed of the workers is measured
_ROOM = 0.1  # of the line: what has to be done before it is worth coming back
_LONGEST_WAIT = 30  # seconds; for all that nobody can say when it is over
_SHARE = 10  # a tenth of a small disk is enough


class Overloaded(LazarettoError):
    """There is no room for another file at the moment; the same upload can be sent again later."""

    code = "overloaded"
    retryable = True
    expected = "the same upload again, a little later"

    def __init__(self, why: Refused, message: str, wait: int) -> None:
        """`wait`: seconds after which there may be room."""
        super().__init__(message)
        self.why, self.wait = why, wait


class Seen(NamedTuple):
    """How things stood at one look."""

    waiting: int  # uploads; no more than the most that may wait are counted
    wait: int  # seconds until there would be room, if there is none
    low_disk: str | None  # in words, where there is one


class Admission:
    """One per API process; for its event loop alone, but for `look`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._most, self._least = settings.max_waiting, settings.min_free_disk
        self._places = sorted({settings.home, settings.scratch_dir or Path(tempfile.gettempdir())})
        self._seen = Seen(0, _LONGEST_WAIT, None)
        self._line = 0  # how many wait, as far as is known: of the last look, and what has begun since
        self._under_way = 0
        self._fresh_until = 0.0  # monotonic
        self._looking = asyncio.Lock()
        self._is_closed = False

    async def begin(self) -> None:
        """One more upload is under way, until `end`. Raises `Overloaded`."""
        if self._is_stale():
            async with self._looking:  # of many that come at once, one looks
                if self._is_stale():
                    await self._look_again()
        overload = self._overload(self._seen, self._line)
        self._tell(overload)
        if overload:
            metrics.upload_turned_away(overload.why)
            raise overload
        self._line += 1
        self._under_way += 1

    def end(self) -> None:
        """However it ended. It counts until the next look, which finds it in line, or gone."""
        self._under_way -= 1

    def check(self) -> str:
        """How things stand now, in words. Raises `Overloaded` and `DatabaseUnavailable`."""
        seen = self.look()
        if overload := self._overload(seen, seen.waiting):
            raise overload
        return f"{seen.waiting} of at most {self._most} files wait" if self._most else "any number of files may wait"

    def look(self) -> Seen:
        """Raises `DatabaseUnavailable`."""
        low = next(self._low_disks(), None)
        if not self._most:
            return Seen(0, _LONGEST_WAIT, low)
        with self._database.read() as connection:
            waiting = standing.uploads_waiting(connection, self._most)
            ended = standing.ended_since(connection, clock.now() - _LATELY)
        wait = self._most * _ROOM / (ended / _LATELY.total_seconds()) if ended else _LONGEST_WAIT
        return Seen(waiting, max(1, min(_LONGEST_WAIT, math.ceil(wait))), low)

    def _is_stale(self) -> bool:
        return time.monotonic() >= self._fresh_until

    async def _look_again(self) -> None:
        try:
            self._seen = await asyncio.to_thread(self.look)
            self._line = self._seen.waiting + self._under_way
        except DatabaseUnavailable:
            pass  # as each upload will find out by itself, and none of them for the others
        self._fresh_until = time.monotonic() + _FRESH

    def _overload(self, seen: Seen, line: int) -> Overloaded | None:
        if seen.low_disk:
            return Overloaded(Refused.DISK, f"There is no room for another file: {seen.low_disk}.", _LONGEST_WAIT)
        if self._most and line >= self._most:
            return Overloaded(Refused.WAITING, f"{self._most} files wait to be examined already.", seen.wait)
        return None

    def _tell(self, overload: Overloaded | None) -> None:
        """Once, and not of every upload."""
        if self._is_closed == bool(overload):
            return
        self._is_closed = bool(overload)
        if overload:
            telemetry.warn(Log.UPLOADS_TURNED_AWAY, why=overload.message)
        else:
            telemetry.say(Log.UPLOADS_TAKEN_IN_AGAIN)

    def _low_disks(self) -> Iterator[str]:
        for place in self._places:
            try:
                disk = os.statvfs(place)
            except OSError:
                continue  # nothing of ours is there
            free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
            if free < min(self._least, size // _SHARE):
                yield f"{free // MIB} MiB are left on a disk"
