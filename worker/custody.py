"""Who has a scan: taken by one worker at a time, and given back when it cannot be finished."""

from __future__ import annotations

import os
import random
import socket
import time
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from worker import clock, metrics, setback, telemetry
from worker.errors import DatabaseUnavailable, LeaseLost, Unavailable
from worker.gate import Gate
from worker.instruments import Attempt
from worker.retries import Pace
from worker.scan import Cause, Mover, Scan, Status
from worker.settings import Settings
from worker.store import claims, scans
from worker.store.database import Database
from worker.telemetry import Log

_DATABASE_PAUSE = 0.5  # seconds between two tries to put a setback on record


class Claim(NamedTuple):
    """A scan that is ours, since `begun`: `clock.elapsed()` from just before we took it."""

    scan: Scan
    begun: float


class Custody:
    """One per worker process."""

    def __init__(self, database: Database, gate: Gate, settings: Settings) -> None:
        self.actor = f"worker {socket.gethostname()}/{os.getpid()}"  # as events name this process
        self._database, self._gate = database, gate
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._patience = settings.task_limit
        self._pace = Pace(settings.max_attempts, settings.retry_base, settings.retry_cap)
        self._hurried = False

    def take(self, scan_id: str) -> Claim | None:
        """Make a scan ours for one lease: a waiting one that is due, or one whose settling was left.

        None: not to be had, or not now. Raises `DatabaseUnavailable`.
        """
        obstacle = self._gate.obstacle()
        begun, until = clock.elapsed(), self._in_a_lease()
        cause = Cause(Mover.WORKER, "claimed", self.actor)
        with self._database.write() as connection:
            if obstacle and self._postpone(connection, scan_id, obstacle):
                return None
            taken = claims.take(connection, scan_id, cause, until)
            scan = taken or claims.take_over(connection, scan_id, until, tidy_at=until)
        return Claim(scan, begun) if scan else None

    def hurry(self) -> None:
        """This process is about to end: wait for nobody any more. Takes no lock: safe in a signal handler."""
        self._hurried = True

    def give_back(self, scan: Scan, fault: Exception) -> None:
        """Put on record what `fault` means for the scan. Raises `DatabaseUnavailable`, at last: then its lease ends.

        While the database is away there is nothing else to do, so the claim is kept, and no attempt is used up.
        """
        self._gate.learn(fault)
        give_up_at = time.monotonic() + self._patience
        while True:
            try:
                return self._give_back(scan, fault)
            except DatabaseUnavailable:
                if self._hurried or time.monotonic() > give_up_at:
                    raise
                time.sleep(_DATABASE_PAUSE)

    def _give_back(self, scan: Scan, fault: Exception) -> None:
        try:
            if isinstance(fault, LeaseLost):
                raise fault
            setback.record(self._database, scan, fault, self.actor, self._pace)
        except LeaseLost:
            telemetry.warn(Log.LEASE_LOST)
            metrics.attempted(Attempt.LOST)
            self._make_way(scan)

    def _make_way(self, scan: Scan) -> None:
        """The scan is somebody else's, who may have finished before our last call to the store came to its end."""
        with self._database.write() as connection:
            scans.amend(connection, scan.id, tidy_at=self._in_a_lease())

    def _postpone(self, connection: Connection, scan_id: str, obstacle: Unavailable) -> bool:
        """While a dependency is down a scan waits, unclaimed. Settling may not need it, and is tried."""
        scan = scans.get(connection, scan_id)
        if scan is None or scan.status is not Status.QUEUED:
            return False
        pause = self._pace.pause(scan.setbacks, random.random())  # noqa: S311 - only jitter
        said = {"scan_id": scan_id, "request_id": scan.request_id, "error": obstacle.message, "seconds": pause}
        telemetry.warn(Log.SCAN_POSTPONED, **said)
        return claims.postpone(connection, scan_id, clock.now() + timedelta(seconds=pause), setback.told(obstacle))

    def _in_a_lease(self) -> datetime:
        return clock.now() + self._lease
