"""What goes on record when a fault stops a worker: the next attempt and its time, or the end."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from worker import clock, metrics, retries, steps, telemetry
from worker.errors import Internal, LazarettoError, ReencodingChanged
from worker.instruments import Attempt
from worker.retries import Again, Enough, Pace
from worker.scan import Cause, Mover, Scan, Status
from worker.store import claims
from worker.store.database import Database
from worker.store.rows import verdict_values
from worker.store.tables import scans as table
from worker.telemetry import Log

_LET_GO: dict[str, Any] = {"token": None, "enqueued_at": None}


def record(database: Database, claimed: Scan, fault: Exception, actor: str, pace: Pace) -> None:
    """Decide what follows `fault` and put it on record, as the holder of `claimed.token`.

    Before the verdict the scan is queued again, or ends `failed`. After it the verdict stands, and settling is
    repeated, however often. Raises `LeaseLost` where the scan is somebody else's by now, and `DatabaseUnavailable`.
    """
    with database.write() as connection:
        scan = claims.held(connection, claimed)
        decision = retries.after(fault, scan.attempts, scan.setbacks, pace, random.random())  # noqa: S311 - jitter
        if scan.status is Status.SETTLING and not isinstance(fault, ReencodingChanged):
            seconds = decision.seconds if isinstance(decision, Again) else pace.pause(scan.setbacks, 1)
            _repeat_settling(connection, scan, fault, seconds)
        elif isinstance(decision, Again):
            _queue(connection, scan, fault, actor, decision)
        else:
            _fail(connection, scan, fault, actor)
    _log(scan, fault, decision)


def told(fault: Exception) -> dict[str, Any]:
    """A fault as the record shows it to its service: of ours and of unknown ones only the kind, not what they name."""
    if isinstance(fault, LazarettoError):
        message = fault.public if isinstance(fault, Internal) else fault.message
        return {"code": fault.code, "message": message, "retryable": fault.retryable}
    return {"code": "internal_error", "message": f"unexpected {type(fault).__name__}; see the log", "retryable": True}


def _fail(connection: Connection, scan: Scan, fault: Exception, actor: str) -> None:
    error = told(fault)
    cause = Cause(Mover.WORKER, f"gave up after attempt {scan.attempts}: {error['message']}", actor)
    claims.move(connection, scan, Status.FAILED, cause, error=error, setbacks=0, steps=steps.so_far())


def _queue(connection: Connection, scan: Scan, fault: Exception, actor: str, decision: Again) -> None:
    error, due_at = told(fault), clock.now() + timedelta(seconds=decision.seconds)
    values = _LET_GO | {"lease_until": None, "due_at": due_at, "error": error, "setbacks": scan.setbacks + 1}
    if not decision.counts:
        values["attempts"] = table.c.attempts - 1
    cause = Cause(Mover.WORKER, error["message"], actor)
    claims.move(connection, scan, Status.QUEUED, cause, steps=steps.so_far(), **values, **verdict_values(None))


def _repeat_settling(connection: Connection, scan: Scan, fault: Exception, seconds: float) -> None:
    """Nobody holds the scan for so long; once that lease is over, the sweeper hands it to the next worker."""
    until = clock.now() + timedelta(seconds=seconds)
    values = {"lease_until": until, "error": told(fault), "setbacks": scan.setbacks + 1, "steps": steps.so_far()}
    claims.amend(connection, scan, **_LET_GO, **values)


def _log(scan: Scan, fault: Exception, decision: Again | Enough) -> None:
    over = isinstance(decision, Enough) and scan.status is not Status.SETTLING
    metrics.attempted(Attempt.FAILED if over else Attempt.POSTPONED)
    trace = None if isinstance(fault, LazarettoError) else fault
    seconds = decision.seconds if isinstance(decision, Again) else None
    if scan.status is Status.SETTLING:
        telemetry.alarm(Log.SETTLING_POSTPONED, error=str(fault), seconds=seconds, exc_info=trace)
    elif isinstance(decision, Enough):
        telemetry.alarm(Log.SCAN_FAILED, why=decision.why, exc_info=fault)
    else:
        telemetry.warn(Log.SCAN_POSTPONED, error=str(fault), seconds=seconds, exc_info=trace)
