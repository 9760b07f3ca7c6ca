"""Use case: look at promoted bytes once more, with the signatures of today.

It changes no status and blocks no download. Where it finds nothing it leaves a note; where it finds malware the file
is recalled: the verdict goes on record, and settling it is the pipeline's, as if another worker had left it. A rescan
may be delivered any number of times, and its worker be killed anywhere, as a scan's.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection

from worker import clock, retries, setback, telemetry
from worker.adapters.object_store import ObjectStore
from worker.errors import ContentChanged, LazarettoError, LeaseLost, ObjectMissing, Unavailable
from worker.gate import Gate
from worker.inspect import Inspector
from worker.lease import Lease
from worker.retries import Enough, Pace
from worker.scan import PROMOTED, Cause, Content, Mover, Promoted, Scan, Status, Verdict
from worker.scanners import Examination, Scanners
from worker.scratch import Scratch
from worker.settings import Settings
from worker.store import rescans, scans
from worker.store.database import Database
from worker.store.rescans import Rescan
from worker.store.rows import scanner_values, verdict_values
from worker.store.tables import scans as table
from worker.telemetry import Log


class Taken(NamedTuple):
    """A rescan that is ours since `begun` (`clock.elapsed()` from just before), and its scan."""

    rescan: Rescan
    scan: Scan
    begun: float


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
        self._database, self._objects, self._actor = database, objects, actor
        self._inspector, self._scanners, self._gate = inspector, scanners, gate
        self._pace = Pace(settings.max_attempts, settings.retry_base, settings.retry_cap)
        self._seconds, self._limit = settings.lease_seconds, settings.scan_timeout
        self._lease: Lease | None = None
        self._stopping = False

    def run(self, scan_id: str) -> bool:
        """Rescan once; what stops it is decided upon and on record. True: the file is recalled, which is now to be
        settled. Raises `DatabaseUnavailable` where nothing can be put on record; then the lease ends by itself."""
        taken = None if self._stopping else self._take(scan_id)
        if taken is None:
            telemetry.say(Log.RESCAN_NOT_OURS, scan_id=scan_id)
            return False
        with (
            structlog.contextvars.bound_contextvars(scan_id=scan_id, request_id=taken.rescan.asker.request_id),
            self._leased(taken) as lease,
        ):
            try:
                return self._look(taken, lease)
            except Exception as fault:  # noqa: BLE001 - whatever went wrong is decided upon
                self._give_back(taken, lease.fault or fault)
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
        obstacle, begun = self._gate.obstacle(), clock.elapsed()
        with self._database.write() as connection:
            if obstacle:
                self._put_off(connection, scan_id, obstacle)
                return None
            rescan = rescans.take(connection, scan_id, clock.now() + timedelta(seconds=self._seconds))
            scan = scans.get(connection, scan_id) if rescan else None
            if rescan is None or scan is None:
                return None
            if scan.status in PROMOTED:
                return Taken(rescan, scan, begun)
            rescans.remove(connection, rescan)
        telemetry.say(Log.RESCAN_ENDED, scan_id=scan_id, outcome="skipped", status=scan.status.value)
        return None

    def _put_off(self, connection: Connection, scan_id: str, obstacle: Unavailable) -> None:
        waiting = rescans.get(connection, scan_id)
        pause = self._pace.pause(waiting.setbacks if waiting else 0, random.random())  # noqa: S311 - only jitter
        if rescans.put_off(connection, scan_id, clock.now() + timedelta(seconds=pause)):
            telemetry.warn(Log.RESCAN_POSTPONED, scan_id=scan_id, error=obstacle.message, seconds=pause)

    def _leased(self, taken: Taken) -> Lease:
        self._lease = Lease(
            self._database,
            taken.scan,
            begun=taken.begun,
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
            self._tell_of_difference(taken, fault)
            return False
        with file:
            examination = self._scanners.examine(file.descriptor, file.size)
        lease.check()
        if examination.signatures:
            return self._recall(taken, examination)
        codes = ", ".join(dict.fromkeys(reason.code for reason in examination.reasons))
        known = {} if codes else {"scanner": scanner_values(examination.scanner)}
        if self._end(taken, f"{_with(examination)}: {codes or 'nothing found'}", **known):
            telemetry.say(Log.RESCAN_ENDED, outcome="unscannable" if codes else "clean")
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

    def _tell_of_difference(self, taken: Taken, fault: LazarettoError) -> None:
        """The clean bucket is not as we left it: nothing that a rescan could mend."""
        missing = isinstance(fault, ObjectMissing)
        what = "the promoted object is " + ("missing" if missing else "not the one that was promoted")
        if self._end(taken, f"not rescanned: {what}"):
            telemetry.alarm(Log.PROMOTED_DIFFERS, error=what, expected="see `lazaretto reconcile`", outcome="failed")

    def _recall(self, taken: Taken, examination: Examination) -> bool:
        """The verdict goes on record before any of its effects. False: the scan was moved on meanwhile, by whoever
        erases it."""
        scan, names = taken.scan, ", ".join(examination.signatures)
        with self._database.write() as connection:
            rescans.remove(connection, taken.rescan)
            cause = self._cause(taken.rescan, f"recalled: {_with(examination)}: {names}")
            same = table.c.decision == scan.decision
            values = _recalled(scan, examination)
            moved = scans.move(connection, scan.id, scan.status, Status.SETTLING, cause, same, **values)
        if moved is None:
            telemetry.say(Log.RESCAN_ENDED, outcome="skipped")
            return False
        telemetry.alarm(Log.RECALLED, outcome="infected", signatures=list(examination.signatures))
        return True

    def _end(self, taken: Taken, what: str, **values: Any) -> bool:
        with self._database.write() as connection:
            cause = self._cause(taken.rescan, what)
            told = rescans.end(connection, taken.rescan, taken.scan, cause, **values)
        if not told:
            telemetry.say(Log.RESCAN_ENDED, outcome="skipped")
        return told

    def _give_back(self, taken: Taken, fault: Exception) -> None:
        """Put on record what `fault` means: another attempt, and when, or the end. The file stays where it is."""
        self._gate.learn(fault)
        rescan = taken.rescan
        try:
            if isinstance(fault, LeaseLost):
                raise fault
            decision = retries.after(fault, rescan.attempts, rescan.setbacks, self._pace, random.random())  # noqa: S311
            if isinstance(decision, Enough):
                said = f"rescan failed after {rescan.attempts} attempts: {setback.told(fault)['message']}"
                if self._end(taken, said):
                    telemetry.alarm(Log.RESCAN_FAILED, outcome="failed", why=decision.why, exc_info=fault)
                return
            due_at = clock.now() + timedelta(seconds=decision.seconds)
            with self._database.write() as connection:
                rescans.give_back(connection, rescan, due_at, counts=decision.counts)
            telemetry.warn(Log.RESCAN_POSTPONED, error=str(fault), seconds=decision.seconds)
        except LeaseLost:
            telemetry.warn(Log.LEASE_LOST)

    def _cause(self, rescan: Rescan, what: str) -> Cause:
        return Cause(Mover.WORKER, rescan.told(what), self._actor, rescan.asker.request_id)


def _with(examination: Examination) -> str:
    scanner = examination.scanner
    return f"rescanned with {scanner.engine}/{scanner.database or 'development signatures'}"


def _recalled(scan: Scan, examination: Examination) -> dict[str, Any]:
    """The columns of a scan that nobody holds yet and whoever comes first may settle. Where its bytes are stays on
    record until they are not there any more; one lease later the sweeper looks again."""
    reasons = tuple(dict.fromkeys((*examination.reasons, *scan.reasons)))
    verdict = Verdict(Status.INFECTED, reasons, examination.signatures, scan.detected_type, examination.scanner)
    values = verdict_values(verdict) | {"error": None, "setbacks": 0, "token": None, "enqueued_at": None}
    del values["promoted"]
    return values | {"lease_until": clock.now()}
