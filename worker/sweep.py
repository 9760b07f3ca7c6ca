"""Use case: recover what was lost on the way. A process of its own, never a task; works from the database alone.

Any number of sweepers may run at any time: each step is a guarded update, and handing a scan over twice is harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from worker import clock, telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.errors import LazarettoError
from worker.scan import Cause, Status
from worker.settings import Settings
from worker.store import scans, tables
from worker.store.database import Database
from worker.store.tables import scans as rows
from worker.telemetry import Log

_BATCH = 1000
_ACTOR = "sweeper"


@dataclass(slots=True)
class Swept:
    """What one sweep did, in numbers."""

    enqueued: int = 0
    leases_ended: int = 0
    failed: int = 0
    expired: int = 0
    emptied: int = 0


class Sweeper:
    """The only thing that recovers."""

    def __init__(self, database: Database, objects: ObjectStore, queue: TaskQueue, settings: Settings) -> None:
        self._database, self._objects, self._queue, self._settings = database, objects, queue, settings

    def sweep(self) -> Swept:
        """Look once. Raises `DatabaseUnavailable`, `QueueUnavailable` and what the object store raises; then the next
        sweep goes on."""
        swept = Swept()
        self._end_leases(swept)
        self._expire_uploads(swept)
        self._empty(swept)
        self._enqueue(swept)
        if any(asdict(swept).values()):
            telemetry.say(Log.SWEPT, **asdict(swept))
        return swept

    def _end_leases(self, swept: Swept) -> None:
        """Scans whose worker is silent: again, or `failed` where it was lost too often."""
        over = and_(rows.c.status == Status.SCANNING.value, rows.c.lease_until < clock.now())
        for scan_id, attempts in self._found(over, rows.c.attempts):
            if attempts < self._settings.max_attempts:
                values = {"token": None, "lease_until": None, "enqueued_at": None}
                swept.leases_ended += self._move(
                    scan_id, Status.SCANNING, Status.QUEUED, "the worker was lost", over, **values
                )
                continue
            why = f"worker lost {attempts} times"
            error = {"code": "worker_lost", "message": why, "retryable": True}
            swept.failed += self._move(scan_id, Status.SCANNING, Status.FAILED, why, over, error=error)

    def _expire_uploads(self, swept: Swept) -> None:
        """Uploads that were begun and never ended."""
        limit = clock.now() - timedelta(seconds=self._settings.receive_timeout)
        abandoned = and_(rows.c.status == Status.RECEIVING.value, rows.c.updated_at < limit)
        for (scan_id,) in self._found(abandoned):
            swept.expired += self._move(
                scan_id, Status.RECEIVING, Status.EXPIRED, "the upload was abandoned", abandoned
            )

    def _empty(self, swept: Swept) -> None:
        """What uploads left in quarantine that did not become scans; a lease after their end, when nobody writes there
        any more. The key stays on the record until the bytes are gone."""
        limit = clock.now() - timedelta(seconds=self._settings.lease_seconds)
        left = and_(tables.leftover(), rows.c.updated_at < limit)
        for scan_id, key in self._found(left, rows.c.quarantine_key):
            self._objects.abort_all(self._settings.quarantine_bucket, key)
            self._objects.delete(self._settings.quarantine_bucket, key)
            with self._database.write() as connection:
                swept.emptied += scans.amend(connection, scan_id, left, quarantine_key=None)

    def _enqueue(self, swept: Swept) -> None:
        """Scans that no task stands for: never enqueued, due again, left in settling, or lost by Redis."""
        now = clock.now()
        lost = or_(rows.c.enqueued_at.is_(None), rows.c.enqueued_at < self._lost_before(now))
        waiting = and_(rows.c.status == Status.QUEUED.value, or_(rows.c.due_at.is_(None), rows.c.due_at <= now), lost)
        left = and_(rows.c.status == Status.SETTLING.value, rows.c.lease_until < now, lost)
        for condition in (waiting, left):
            for (scan_id,) in self._found(condition):
                with self._database.write() as connection:
                    ours = scans.amend(connection, scan_id, condition, enqueued_at=clock.now())
                if ours:
                    self._queue.enqueue(scan_id)
                    swept.enqueued += 1

    def _lost_before(self, now: datetime) -> datetime:
        """Redis serves first in, first out: what was enqueued before the next in line is not in it any more."""
        grace = timedelta(seconds=self._settings.enqueue_grace)
        next_in_line = self._queue.waiting_since()
        return min(now, next_in_line or now) - grace

    def _found(self, condition: ColumnElement[bool], *columns: ColumnElement[Any]) -> list[tuple[Any, ...]]:
        with self._database.read() as connection:
            return [
                tuple(row) for row in connection.execute(select(rows.c.id, *columns).where(condition).limit(_BATCH))
            ]

    def _move(
        self, scan_id: str, source: Status, target: Status, why: str, guard: ColumnElement[bool], **values: Any
    ) -> bool:
        with self._database.write() as connection:
            return scans.move(connection, scan_id, source, target, Cause(_ACTOR, why), guard, **values) is not None


def run(sweeper: Sweeper, wait: Callable[[], bool]) -> None:
    """Sweep until `wait`, which pauses in between, says that it is over. An outage ends nothing but its sweep."""
    over = False
    while not over:
        try:
            sweeper.sweep()
        except Exception as fault:  # noqa: BLE001 - the next sweep goes on where this one stopped
            known = isinstance(fault, LazarettoError)
            telemetry.alarm(Log.SWEEP_FAILED, error=str(fault), exc_info=None if known else fault)
        over = wait()
