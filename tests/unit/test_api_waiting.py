"""Waiting for scans while the database is away, and Redis with it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from structlog.testing import capture_logs

from api.endings import Endings
from api.waiting import Waiting
from worker import clock
from worker.scan import Scan, Status
from worker.store.database import Database
from worker.telemetry import Log

SECONDS = 0.5


def test_what_is_away_is_not_asked_at_every_tick() -> None:
    """Else one client that waits fills the log with fifty lines a second, for as long as the outage lasts."""
    begun = time.monotonic()
    with capture_logs() as lines:
        asyncio.run(_wait())
    assert time.monotonic() - begun >= SECONDS
    assert sorted(line["event"] for line in lines) == [Log.ENDS_NOT_HEARD, Log.REQUEST_FAILED]


async def _wait() -> None:
    now = clock.now()
    scan = Scan("a scan", "default", Status.QUEUED, "a.txt", None, now, now)

    async def read() -> Scan:
        return scan

    away = Endings("redis://127.0.0.1:1/0", connect_timeout=1)
    with closing(Database("postgresql://nobody@127.0.0.1:1/none")) as database, ThreadPoolExecutor(1) as threads:
        assert await Waiting(database, away, threads).until_ended(scan.id, SECONDS, read) is scan
