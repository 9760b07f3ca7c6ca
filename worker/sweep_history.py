"""What nobody relies on any more is forgotten: idempotency keys, and sessions that are over."""

from __future__ import annotations

from collections.abc import Iterator

from worker import clock
from worker.idempotency import KEPT
from worker.store import idempotency, sessions
from worker.store.database import Database

_BATCH = 500
_MOST_BATCHES = 10  # of one sweep


class History:
    """Two steps of the sweeper; safe to repeat, and at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forget_keys(self) -> Iterator[int]:
        """Delete idempotency keys that have been kept for long enough, a few at a time; how many."""
        now = clock.now()
        for _ in range(_MOST_BATCHES):
            with self._database.write() as connection:
                forgotten = idempotency.forget(connection, now, now - KEPT, _BATCH)
            yield forgotten
            if forgotten < _BATCH:
                return

    def forget_sessions(self) -> int:
        """Delete sessions that have ended; how many."""
        with self._database.write() as connection:
            return sessions.forget(connection, clock.now())
