"""Waiting for scans while the database is away."""

from __future__ import annotations

import asyncio
import time

from structlog.testing import capture_logs

from api.waiting import Waiting
from worker.store.database import Database

SECONDS = 0.5


def test_a_database_that_is_away_is_not_asked_at_every_tick() -> None:
    """Else one client that waits fills the log with fifty lines a second, for as long as the outage lasts."""
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    begun = time.monotonic()
    with capture_logs() as lines:
        asyncio.run(Waiting(database).until_ended("a scan", SECONDS))
    assert time.monotonic() - begun >= SECONDS
    assert len(lines) == 1
    database.close()
