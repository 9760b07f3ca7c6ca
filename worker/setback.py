"""What goes on record when a fault stops a worker: the next attempt and its time, or the end."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from worker import clock, retries, telemetry
from worker.errors import Internal, LazarettoError, ReencodingChanged
from worker.retries import Again, Enough, Pace
from worker.scan import Cause, Scan, Status
from worker.store import scans
from worker.store.database import Database
from worker.store.rows import verdict_values
from worker.store.tables import scans as rows
from worker.telemetry import Log

_ACTOR = "worker"


def record(database: Database, scan: Scan, fault: Exception, pace: Pace) -> None:
    """Decide what follows `fault` and put it on record, as the holder of `scan.token`; a lost race changes nothing.

    Before the verdict the scan is queued again, or ends `failed`. After it, the verdict stands and settling is
    repeated, however often. Raises `DatabaseUnavailable`.
    """
    decision = retries.after(fault, scan.attempts, pace, random.random())  # noqa: S311 - only jitter
    with database.write() as connection:
        if isinstance(fault, ReencodingChanged):  # nothing was decided about these bytes: not an end, however often
            _queue(connection, scan, Status.SETTLING, fault, Again(pace.base, counts=True))
        elif isinstance(decision, Again):
            if not _queue(connection, scan, Status.SCANNING, fault, decision):
                _repeat_settling(connection, scan, fault, decision.seconds)
        elif not _fail(connection, scan, fault, decision):
            _repeat_settling(connection, scan, fault, pace.cap)


def _fail(connection: Connection, scan: Scan, fault: Exception, decision: Enough) -> bool:
    error, ours = told(fault), rows.c.token == scan.token
    cause = Cause(_ACTOR, f"gave up after attempt {scan.attempts}: {error['message']}")
    failed = scans.move(connection, scan.id, Status.SCANNING, Status.FAILED, cause, ours, error=error)
    if failed:
        telemetry.alarm(Log.SCAN_FAILED, why=decision.why, exc_info=fault)
    return failed is not None


def _queue(connection: Connection, scan: Scan, source: Status, fault: Exception, decision: Again) -> bool:
    cause, ours, error = Cause(_ACTOR, told(fault)["message"]), rows.c.token == scan.token, told(fault)
    values: dict[str, Any] = {"due_at": clock.now() + timedelta(seconds=decision.seconds), "error": error}
    values |= {"token": None, "lease_until": None, "enqueued_at": None} | verdict_values(None)
    if not decision.counts:
        values["attempts"] = rows.c.attempts - 1
    queued = scans.move(connection, scan.id, source, Status.QUEUED, cause, ours, **values)
    if queued:
        known = isinstance(fault, LazarettoError)
        telemetry.warn(
            Log.SCAN_POSTPONED, error=str(fault), seconds=decision.seconds, exc_info=None if known else fault
        )
    return queued is not None


def _repeat_settling(connection: Connection, scan: Scan, fault: Exception, seconds: float) -> None:
    """The lease of nobody ends when it is time; then the sweeper hands the scan over again."""
    error, until = told(fault), clock.now() + timedelta(seconds=seconds)
    ours = (rows.c.status == Status.SETTLING.value, rows.c.token == scan.token)
    if scans.amend(connection, scan.id, *ours, error=error, token=None, lease_until=until, enqueued_at=None):
        telemetry.alarm(Log.SETTLING_POSTPONED, error=error, seconds=seconds, exc_info=fault)


def told(fault: Exception) -> dict[str, Any]:
    """A fault as the record shows it to its service: of ours and of unknown ones only the kind, not what they name."""
    if isinstance(fault, LazarettoError):
        message = fault.public if isinstance(fault, Internal) else fault.message
        return {"code": fault.code, "message": message, "retryable": fault.retryable}
    return {"code": "internal_error", "message": f"unexpected {type(fault).__name__}; see the log", "retryable": True}
