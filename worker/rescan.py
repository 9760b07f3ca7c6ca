"""Use case: look at promoted bytes once more, with the signatures of today.

It changes no status and blocks no download. Where it finds nothing it leaves a note; where it finds malware the file
is recalled: the verdict goes on record, and settling it is the pipeline's, as if another worker had left it. A rescan
may be delivered any number of times, and its worker be killed anywhere, as a scan's.
"""

from __future__ import annotations

import random
from datetime import timedelta

import structlog
from sqlalchemy import Connection

from worker import clock, telemetry
from worker.adapters.object_store import ObjectStore
from worker.errors import ContentChanged, ObjectMissing, Unavailable
from worker.gate import Gate
from worker.inspect import Inspector
from worker.instruments import SecondLook
from worker.lease import Lease
from worker.rescan_ends import RescanEnds, Taken, ended
from worker.retries import Pace
from worker.scan import PROMOTED, Content, Promoted
from worker.scanners import Scanners
from worker.scratch import Scratch
from worker.settings import Settings
from worker.store import rescans, scans
from worker.store.database import Database
from worker.telemetry import Log


class Rescanner:
    """One per worker process; one rescan at a time."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        inspector: Inspector,
        scanners: Scanners,
        gate: Gate,
        settings: Settings,
        *,
        actor: str,
    ) -> None:
        """`actor`: how events name this process."""
        self._database, self._objects = database, objects
        self._inspector, self._scanners, self._gate = inspector, scanners, gate
        self._pace = Pace(settings.max_attempts, settings.retry_base, settings.retry_cap)
        self._ends = RescanEnds(database, self._pace, actor)
        self._seconds, self._limit = settings.lease_seconds, settings.scan_timeout
        self._lease: Lease | None = None
        self._stopping = False

    def run(self, scan_id: str) -> bool:
        """Rescan once; what stops it is decided upon and on record. True: the file is recalled, which is now to be
        settled. Raises `DatabaseUnavailable` where nothing can be put on record; then the lease ends by itself."""
        begun = clock.elapsed()
        taken = None if self._stopping else self._take(scan_id)
        if taken is None:
            telemetry.say(Log.RESCAN_NOT_OURS, scan_id=scan_id)
            return False
        with (
            structlog.contextvars.bound_contextvars(scan_id=scan_id, request_id=taken.rescan.asker.request_id),
            self._leased(taken, begun) as lease,
        ):
            try:
                return self._look(taken, lease)
            except Exception as fault:  # noqa: BLE001 - whatever went wrong is decided upon
                self._gate.learn(fault)
                self._ends.stopped(taken, lease.fault or fault)  # who is interrupted fails in ways of its own
                return False
            finally:
                self._lease = None

    def stop(self) -> None:
        """Hand back the rescan at work, soon, and begin no other. Takes no lock: safe in a signal handler."""
        self._stopping = True
        if lease := self._lease:
            lease.stop()

    def _take(self, scan_id: str) -> Taken | None:
        """None: not to be had, or not now, or there is nothing to look at any more."""
        obstacle = self._gate.obstacle()
        with self._database.write() as connection:
            if obstacle:
                self._put_off(connection, scan_id, obstacle)
                return None
            rescan = rescans.take(connection, scan_id, clock.now() + timedelta(seconds=self._seconds))
            scan = scans.get(connection, scan_id) if rescan else None
            if rescan is None or scan is None:
                return None
            if scan.status in PROMOTED:
                return Taken(rescan, scan)
            rescans.remove(connection, rescan)
        told = {"scan_id": scan_id, "request_id": rescan.asker.request_id, "status": scan.status.value}
        ended(SecondLook.SKIPPED, **told)
        return None

    def _put_off(self, connection: Connection, scan_id: str, obstacle: Unavailable) -> None:
        waiting = rescans.get(connection, scan_id)
        pause = self._pace.pause(waiting.setbacks if waiting else 0, random.random())  # noqa: S311 - only jitter
        if rescans.put_off(connection, scan_id, clock.now() + timedelta(seconds=pause)):
            request_id = waiting.asker.request_id if waiting else None
            said = {"scan_id": scan_id, "request_id": request_id, "error": obstacle.message, "seconds": pause}
            telemetry.warn(Log.RESCAN_POSTPONED, **said)

    def _leased(self, taken: Taken, begun: float) -> Lease:
        self._lease = Lease(
            self._database,
            taken.scan,
            begun=begun,
            seconds=self._seconds,
            limit=self._limit,
            interrupt=self._inspector.interrupt,
            renew=lambda connection, _scan, until: rescans.renew(connection, taken.rescan, until),
        )
        if self._stopping:
            self._lease.stop()
        return self._lease

    def _look(self, taken: Taken, lease: Lease) -> bool:
        """One fetch, one examination; was malware found?"""
        try:
            file = self._fetched(taken.scan.promoted, lease)
        except (ObjectMissing, ContentChanged) as fault:
            self._ends.different(taken, fault)
            return False
        with file:
            examination = self._scanners.examine(file.descriptor, file.size)
        lease.check()
        if examination.signatures:
            return self._ends.recalled(taken, examination)
        self._ends.examined(taken, examination)
        return False

    def _fetched(self, promoted: Promoted | None, lease: Lease) -> Scratch:
        """The very bytes that were promoted. Raises `ContentChanged` for any others, and `ObjectMissing`."""
        if promoted is None:
            raise ObjectMissing("the record does not say where the promoted object is")
        found = self._objects.head(promoted.bucket, promoted.key)
        if found is None:
            self._objects.check(promoted.bucket)  # some stores say so where the whole bucket is missing
            raise ObjectMissing
        content = Content(promoted.key, promoted.size, promoted.sha256, found.etag)
        return self._inspector.fetch(content, lease.check, promoted.bucket)
