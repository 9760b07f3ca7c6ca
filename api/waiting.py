"""Waiting for scans to end, without a thread or a database connection for each waiter."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from typing import Any

from api.endings import Endings
from worker import telemetry
from worker.errors import DatabaseUnavailable
from worker.scan import Scan
from worker.store import scans
from worker.store.database import Database
from worker.telemetry import Log

_TICK = 0.02  # seconds between two looks while we hear of no end; one query for everybody who waits
_SLOW_TICK = 0.5  # while we do: what ended and was not said is found all the same
_SHARE = 10  # times as long as a look takes, until the next: many waiters, or a busy database, slow nobody else
_LONGEST_TICK = 0.25  # seconds; whoever waits has nothing of it where looks take long
_AWAY_SECONDS = 1.0  # before the next look at a database that was away


class Waiting:
    """All waiters of one API process share one look at the database: at once for those who are said to have ended,
    now and then for all of them, and none while nobody waits."""

    def __init__(self, database: Database, endings: Endings, threads: Executor) -> None:
        """`threads`: in which the database is asked."""
        self._database, self._endings, self._threads = database, endings, threads
        self._waiters: defaultdict[str, set[asyncio.Future[Scan | None]]] = defaultdict(set)
        self._told = set[str]()  # who are said to have ended, and wait
        self._news = asyncio.Event()
        self._hearing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._over = False

    def release(self) -> None:
        """Everybody returns at once, and whoever comes later does not wait: this process is about to end."""
        self._over = True
        for waiter in self._all(self._waiters):
            waiter.set_result(None)

    async def until_ended(self, scan_id: str, seconds: float, read: Callable[[], Awaitable[Scan]]) -> Scan:
        """The scan when it has ended, or as it is after `seconds`, or when we are released.

        `read` reads it: the first time only once we hear of its end, so that none is missed. Raises what it raises.
        """
        waiter: asyncio.Future[Scan | None] = asyncio.get_running_loop().create_future()
        self._waiters[scan_id].add(waiter)
        try:
            scan = await read()
            if self._over or scan.status.ended:
                return scan
            self._hearing = _kept_up(self._hearing, lambda: self._endings.listen(self._tell))
            self._looking = _kept_up(self._looking, self._look)
            await asyncio.wait([waiter], timeout=seconds)
        finally:
            self._forget(scan_id, waiter)
        ended = waiter.result() if waiter.done() else None
        return ended or await read()

    def _tell(self, scan_id: str | None) -> None:
        self._told |= set(self._waiters) if scan_id is None else {scan_id} & self._waiters.keys()
        if self._told:
            self._news.set()

    async def _look(self) -> None:
        """At those we were told of; at all when it is time."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._pause(0)
        while self._waiters:
            told, begun = await self._told_until(due), loop.time()
            try:
                found = await loop.run_in_executor(self._threads, self._ended, told or set(self._waiters))
            except DatabaseUnavailable as fault:
                telemetry.warn(Log.REQUEST_FAILED, error=fault.message)
                await asyncio.sleep(_AWAY_SECONDS)
                due = loop.time()
                continue
            for scan in found:
                for waiter in self._all([scan.id]):
                    waiter.set_result(scan)
            if not told:
                due = loop.time() + self._pause(loop.time() - begun)

    async def _told_until(self, due: float) -> set[str]:
        """Of whom we were told; nobody where we were not until `due`."""
        try:
            async with asyncio.timeout_at(due):
                await self._news.wait()
        except TimeoutError:
            return set()
        told, self._told = self._told, set()
        self._news.clear()
        return told

    def _pause(self, taken: float) -> float:
        least = _SLOW_TICK if self._endings.heard else _TICK
        return max(least, min(_LONGEST_TICK, _SHARE * taken))

    def _all(self, ids: Iterable[str]) -> list[asyncio.Future[Scan | None]]:
        return [each for scan_id in ids for each in self._waiters.get(scan_id, ()) if not each.done()]

    def _ended(self, ids: set[str]) -> list[Scan]:
        with self._database.read() as connection:
            return scans.ended(connection, ids)

    def _forget(self, scan_id: str, waiter: asyncio.Future[Scan | None]) -> None:
        self._told.discard(scan_id)
        self._waiters[scan_id].discard(waiter)
        if not self._waiters[scan_id]:
            del self._waiters[scan_id]


def _kept_up(running: asyncio.Task[None] | None, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    return asyncio.create_task(work()) if running is None or running.done() else running
