"""Recovery of rescans: what waits is handed to the workers, and what a dead worker held starts over or is given up."""

from __future__ import annotations

from datetime import datetime, timedelta

from worker import clock, telemetry
from worker.adapters.task_queue import TaskQueue
from worker.errors import QueueUnavailable
from worker.instruments import SecondLook
from worker.lanes import Lane
from worker.rescan_ends import ended
from worker.scan import PROMOTED, Cause, Mover
from worker.settings import Settings
from worker.store import rescans, scans
from worker.store.database import Database
from worker.store.rescans import Rescan
from worker.telemetry import Log

_BATCH = 500
_MOST = 5000  # of one sweep: while a long backlog is enqueued, leases end as well


class RescanSweeper:
    """Two steps of the sweeper; safe to repeat, and at once."""

    def __init__(self, database: Database, queue: TaskQueue, settings: Settings) -> None:
        self._database, self._queue = database, queue
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._grace = timedelta(seconds=settings.enqueue_grace)
        self._max_attempts = settings.max_attempts

    def end_leases(self) -> int:
        """Decide what follows where a worker is silent; of how many rescans."""
        with self._database.write() as connection:
            lost = rescans.take_lost(connection, clock.now() + self._lease, _BATCH)
            for rescan in lost:
                if rescan.attempts < self._max_attempts:
                    rescans.give_back(connection, rescan, None, counts=True)
        given_up = [each for each in lost if each.attempts >= self._max_attempts]
        for rescan in given_up:
            self._give_up(rescan)
        return len(lost)

    def enqueue(self) -> int:
        """Hand over what no task stands for, as far as there is room in the line; how many.

        Raises `QueueUnavailable`.
        """
        handed_over, room = 0, min(_MOST, self._queue.room())
        while handed_over < room:
            ids = self._take(min(_BATCH, room - handed_over))
            self._hand_over(ids)
            handed_over += len(ids)
            if len(ids) < _BATCH:
                break
        return handed_over

    def _give_up(self, rescan: Rescan) -> None:
        """A file that kills whoever looks at it stays where it is: it was proven clean once, and nothing else is
        known. Somebody has to look."""
        said = f"rescan failed after {rescan.attempts} attempts: the worker was lost"
        with self._database.write() as connection:
            scan = scans.get(connection, rescan.scan_id)
            if scan is None or scan.status not in PROMOTED:
                rescans.remove(connection, rescan)
                return
            cause = Cause(Mover.SWEEPER, rescan.told(said), request_id=rescan.asker.request_id)
            told = rescans.end(connection, rescan, scan, cause)
        if told:
            whose = {"scan_id": rescan.scan_id, "request_id": rescan.asker.request_id}
            telemetry.alarm(Log.RESCAN_FAILED, **whose, why=said)
            ended(SecondLook.FAILED, **whose)

    def _take(self, limit: int) -> list[str]:
        now = clock.now()
        lost_before = self._lost_before(now)
        with self._database.write() as connection:
            return rescans.take_unqueued(connection, now, lost_before, limit)

    def _lost_before(self, now: datetime) -> datetime:
        """Redis serves first in, first out: what was enqueued before the next in line is not in it any more."""
        next_in_line = self._queue.waiting_since(Lane.BULK)
        return min(now, next_in_line or now) - self._grace

    def _hand_over(self, ids: list[str]) -> None:
        for at, scan_id in enumerate(ids):
            try:
                self._queue.enqueue_rescan(scan_id)
            except QueueUnavailable:
                with self._database.write() as connection:
                    rescans.put_back(connection, ids[at:])
                raise
