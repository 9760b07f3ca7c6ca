"""Waiting for scans to end, without a thread or a database connection for each waiter."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from worker import telemetry
from worker.errors import DatabaseUnavailable
from worker.store import scans
from worker.store.database import Database
from worker.telemetry import Log

TICK = 0.02  # seconds between two looks; one query for everybody who waits
_SHARE = 10  # times as long as a look takes, until the next: many waiters, or a busy database, slow nobody else
_LONGEST_TICK = 0.25  # seconds; whoever waits has nothing of it where looks take long
_AWAY_SECONDS = 1.0  # before the next look at a database that was away


class Waiting:
    """All waiters of one API process share one look at the database per tick; none while nobody waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None
        self._over = False

    def release(self) -> None:
        """Everybody returns at once, and whoever comes later does not wait: this process is about to end."""
        self._over = True
        self._wake(set(self._waiters))

    async def until_ended(self, scan_id: str, seconds: float) -> None:
        """Return when the scan has ended, or after `seconds`, or when we are released."""
        if self._over:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[scan_id].add(waiter)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return
        finally:
            self._forget(scan_id, waiter)

    async def _look(self) -> None:
        while self._waiters:
            begun = time.monotonic()
            try:
                self._wake(await asyncio.to_thread(self._ended, set(self._waiters)))
                pause = min(_LONGEST_TICK, max(TICK, _SHARE * (time.monotonic() - begun)))
            except DatabaseUnavailable as fault:
                telemetry.warn(Log.REQUEST_FAILED, error=fault.message)
                pause = _AWAY_SECONDS
            await asyncio.sleep(pause)

    def _wake(self, ids: set[str]) -> None:
        for waiter in [each for scan_id in ids for each in self._waiters.get(scan_id, ())]:
            if not waiter.done():
                waiter.set_result(None)

    def _ended(self, ids: set[str]) -> set[str]:
        with self._database.read() as connection:
            return scans.ended(connection, ids)

    def _forget(self, scan_id: str, waiter: asyncio.Future[None]) -> None:
        self._waiters[scan_id].discard(waiter)
        if not self._waiters[scan_id]:
            del self._waiters[scan_id]
