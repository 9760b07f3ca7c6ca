"""How a rescan ends, and what goes on record then: a note, the recall of the file, or another attempt."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, NamedTuple

from worker import clock, metrics, retries, setback, telemetry
from worker.errors import LazarettoError, LeaseLost, ObjectMissing
from worker.instruments import SecondLook
from worker.retries import Enough, Pace
from worker.scan import Cause, Mover, Scan, Status, Verdict
from worker.scanners import Examination
from worker.store import rescans, scans
from worker.store.database import Database
from worker.store.rescans import Rescan
from worker.store.rows import scanner_values, verdict_values
from worker.store.tables import scans as table
from worker.telemetry import Log


class Taken(NamedTuple):
    """A rescan that is ours, and its scan as it was then."""

    rescan: Rescan
    scan: Scan


class RescanEnds:
    """Every write carries the rescan's token: whoever lost it stops quietly."""

    def __init__(self, database: Database, pace: Pace, actor: str) -> None:
        """`actor`: how events name this process."""
        self._database, self._pace, self._actor = database, pace, actor

    def examined(self, taken: Taken, examination: Examination) -> None:
        """No malware was found. Who looked is on record from now on, unless they could not look into it."""
        codes = ", ".join(dict.fromkeys(reason.code for reason in examination.reasons))
        known = {} if codes else {"scanner": scanner_values(examination.scanner)}
        if self._noted(taken, f"{_with(examination)}: {codes or 'nothing found'}", **known):
            ended(SecondLook.UNSCANNABLE if codes else SecondLook.CLEAN, found=codes or None)

    def different(self, taken: Taken, fault: LazarettoError) -> None:
        """The clean bucket is not as we left it: nothing that a rescan could mend."""
        missing = isinstance(fault, ObjectMissing)
        what = "the promoted object is " + ("missing" if missing else "not the one that was promoted")
        if self._noted(taken, f"not rescanned: {what}"):
            telemetry.alarm(Log.PROMOTED_DIFFERS, error=what, expected="what `lazaretto reconcile` agrees with")
            ended(SecondLook.FAILED)

    def recalled(self, taken: Taken, examination: Examination) -> bool:
        """Malware was found: the verdict goes on record before any of its effects. False: the scan was moved on
        meanwhile, by whoever erased it."""
        scan, names = taken.scan, ", ".join(examination.signatures)
        with self._database.write() as connection:
            rescans.remove(connection, taken.rescan)
            cause = self._cause(taken.rescan, f"recalled: {_with(examination)}: {names}")
            same = table.c.decision == scan.decision
            values = _recall(scan, examination)
            moved = scans.move(connection, scan.id, scan.status, Status.SETTLING, cause, same, **values)
        if moved is None:
            ended(SecondLook.SKIPPED)
            return False
        telemetry.alarm(Log.RECALLED, signatures=list(examination.signatures))
        ended(SecondLook.INFECTED)
        return True

    def stopped(self, taken: Taken, fault: Exception) -> None:
        """Put on record what `fault` means: another attempt, and when, or the end. The file stays where it is.

        Raises `DatabaseUnavailable`.
        """
        rescan = taken.rescan
        try:
            if isinstance(fault, LeaseLost):
                raise fault
            decision = retries.after(fault, rescan.attempts, rescan.setbacks, self._pace, random.random())  # noqa: S311
            if isinstance(decision, Enough):
                self._give_up(taken, fault, decision)
                return
            due_at = clock.now() + timedelta(seconds=decision.seconds)
            with self._database.write() as connection:
                rescans.give_back(connection, rescan, due_at, counts=decision.counts)
            telemetry.warn(Log.RESCAN_POSTPONED, error=str(fault), seconds=decision.seconds)
        except LeaseLost:
            telemetry.warn(Log.LEASE_LOST)

    def _give_up(self, taken: Taken, fault: Exception, decision: Enough) -> None:
        said = f"rescan failed after {taken.rescan.attempts} attempts: {setback.told(fault)['message']}"
        if self._noted(taken, said):
            telemetry.alarm(Log.RESCAN_FAILED, why=decision.why, exc_info=fault)
            ended(SecondLook.FAILED)

    def _noted(self, taken: Taken, what: str, **values: Any) -> bool:
        """False: the scan was moved on meanwhile, and nobody is told."""
        with self._database.write() as connection:
            cause = self._cause(taken.rescan, what)
            noted = rescans.end(connection, taken.rescan, taken.scan, cause, **values)
        if not noted:
            ended(SecondLook.SKIPPED)
        return noted

    def _cause(self, rescan: Rescan, what: str) -> Cause:
        return Cause(Mover.WORKER, rescan.told(what), self._actor, rescan.asker.request_id)


def ended(outcome: SecondLook, **details: object) -> None:
    """Say, and count, what became of a rescan."""
    telemetry.say(Log.RESCAN_ENDED, outcome=outcome.value, **details)
    metrics.rescanned(outcome)


def _with(examination: Examination) -> str:
    scanner = examination.scanner
    return f"rescanned with {scanner.engine}/{scanner.database or 'development signatures'}"


def _recall(scan: Scan, examination: Examination) -> dict[str, Any]:
    """The columns of a scan that nobody holds yet and whoever comes first may settle. Where its bytes are stays on
    record until they are not there any more; one lease later the sweeper looks again."""
    reasons = tuple(dict.fromkeys((*examination.reasons, *scan.reasons)))
    verdict = Verdict(Status.INFECTED, reasons, examination.signatures, scan.detected_type, examination.scanner)
    values = verdict_values(verdict) | {"error": None, "setbacks": 0, "token": None, "enqueued_at": None}
    del values["promoted"]
    return values | {"lease_until": clock.now()}
