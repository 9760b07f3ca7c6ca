"""Use case: recover what was lost on the way. A process of its own, never a task; works from the database alone.

Any number of sweepers may run at any time: each step is a guarded update, and handing a scan over twice is harmless.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement

from worker import clock, metrics, telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.errors import DatabaseUnavailable, LazarettoError, QueueUnavailable
from worker.lanes import Lane, suspect
from worker.policies import Policies
from worker.rollup import RollUps
from worker.scan import Cause, Mover, Scan, Status
from worker.settings import Settings
from worker.store import backlog, events, scans
from worker.store.database import Database
from worker.sweep_buckets import BucketSweeper
from worker.sweep_history import History
from worker.sweep_rescans import RescanSweeper
from worker.sweep_webhooks import WebhookSweeper
from worker.telemetry import Log

_BATCH = 500
_MOST_BATCHES = 10  # of one sweep: while a long backlog is enqueued again, leases end as well
_LOST = "the worker was lost"


@dataclass(slots=True)
class Swept:
    """What one sweep did, in numbers."""

    enqueued: int = 0  # scans that no task stood for
    leases_ended: int = 0  # scans whose worker was lost, and which start over
    failed: int = 0  # scans whose worker was lost too often
    rescans_enqueued: int = 0  # looks at promoted files that no task stood for
    rescans_ended: int = 0  # those whose worker was lost, and which start over or are given up
    abandoned: int = 0  # uploads that nobody goes on with
    expired: int = 0  # files held for longer than the policy says
    tidied: int = 0  # ended scans whose buckets were looked at once more
    uploads_aborted: int = 0  # multipart uploads that nobody ended
    keys_forgotten: int = 0  # idempotency keys that have been kept for long enough
    notified: int = 0  # services whose webhooks were due
    forgotten: int = 0  # deliveries that were kept for long enough
    sessions_over: int = 0  # of operators who were logged in to the dashboard
    rolled_up: int = 0  # hours that are over, counted for good


class Sweeper:
    """The only thing that recovers."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        queue: TaskQueue,
        policies: Policies,
        settings: Settings,
    ) -> None:
        self._database, self._queue = database, queue
        self._policies, self._settings = policies, settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._buckets = BucketSweeper(database, objects, settings)
        self._history = History(database)
        self._rollups = RollUps(database)
        self._webhooks = WebhookSweeper(database, queue, policies, settings)
        self._rescans = RescanSweeper(database, queue, settings)
        self._patient_until = 0.0  # monotonic: until then no lease is ended

    def sweep(self) -> Swept:
        """Look once. One fault does not keep the other steps from their work; the first is raised at the end."""
        swept, faults = Swept(), list[Exception]()
        recovery = (self._end_leases, self._give_up_uploads, self._enqueue, self._notify)
        bulk = (self._end_rescans, self._enqueue_rescans)
        forgetting = (self._forget_keys, self._forget, self._end_sessions)
        steps = (*recovery, *bulk, self._expire, self._tidy, self._abort_stale, *forgetting, self._count)
        for step in steps:
            try:
                step(swept)
            except Exception as fault:  # noqa: BLE001 - raised at the end
                faults.append(fault)
        metrics.swept(asdict(swept))
        if any(asdict(swept).values()):
            telemetry.say(Log.SWEPT, **asdict(swept))
        if faults:
            self._bear(faults)
            raise faults[0]
        metrics.sweep_ended(clock.now().timestamp())
        return swept

    def _bear(self, faults: list[Exception]) -> None:
        """Nobody could renew a lease while the database was away: everybody gets the time to come back."""
        if any(isinstance(fault, DatabaseUnavailable) for fault in faults):
            self._patient_until = time.monotonic() + self._settings.lease_seconds

    def _is_patient(self) -> bool:
        return time.monotonic() < self._patient_until

    def _end_leases(self, swept: Swept) -> None:
        """Scans whose worker is silent: again, or `failed` where it was lost too often."""
        if self._is_patient():
            return
        over = backlog.lost_workers(clock.now())
        for scan in self._found(over):
            if scan.attempts < self._settings.max_attempts:
                lane = suspect(scan.lane).value
                values: dict[str, Any] = {"token": None, "lease_until": None, "enqueued_at": None, "lane": lane}
                if scan.source_bucket:  # a copy of it may still be on its way to quarantine
                    values["tidy_at"] = clock.now() + self._lease
                swept.leases_ended += self._move(scan, Status.QUEUED, _LOST, over, **values)
                continue
            why = self._gave_up_because(scan)
            error = {"code": "worker_lost", "message": why, "retryable": True}
            swept.failed += self._move(scan, Status.FAILED, why, over, error=error)

    def _gave_up_because(self, scan: Scan) -> str:
        """Other faults may have used up attempts as well: whoever reads this must not look for more dead workers."""
        with self._database.read() as connection:
            lost = 1 + events.count(connection, scan, _LOST)
        times = "once" if lost == 1 else f"{lost} times"
        return f"worker lost {times}" + (f" in {scan.attempts} attempts" if lost < scan.attempts else "")

    def _give_up_uploads(self, swept: Swept) -> None:
        """Uploads whose API process is silent."""
        if self._is_patient():
            return
        abandoned = backlog.abandoned_uploads(clock.now())
        values = {"tidy_at": clock.now() + self._lease}
        for scan in self._found(abandoned):
            swept.abandoned += self._move(scan, Status.EXPIRED, "the upload was abandoned", abandoned, **values)

    def _expire(self, swept: Swept) -> None:
        """Files that nobody released or tried again while they were held."""
        file, now = self._policies.file, clock.now()
        for service, policy in [(None, file.default), *file.services.items()]:
            held = backlog.held_before(now - policy.retention, service, others=file.services)
            for scan in self._found(held):
                why = f"held for {policy.retention_days} days"
                swept.expired += self._move(scan, Status.EXPIRED, why, held, tidy_at=clock.now())

    def _tidy(self, swept: Swept) -> None:
        """Scans that ended while somebody may still have been writing."""
        for _ in self._buckets.tidy():
            swept.tidied += 1

    def _abort_stale(self, swept: Swept) -> None:
        """Multipart uploads that nobody ends."""
        swept.uploads_aborted += self._buckets.abort_stale()

    def _forget_keys(self, swept: Swept) -> None:
        """Idempotency keys that nobody relies on any more."""
        for forgotten in self._history.forget_keys():
            swept.keys_forgotten += forgotten

    def _end_sessions(self, swept: Swept) -> None:
        """Sessions that are over already; their rows go."""
        swept.sessions_over += self._history.forget_sessions()

    def _enqueue(self, swept: Swept) -> None:
        """Scans that no task stands for: never enqueued, due again, left in settling, lost by Redis. Uploads first."""
        for lane in Lane:
            for _ in range(_MOST_BATCHES):
                limit = min(_BATCH, self._queue.room()) if lane is Lane.BULK else _BATCH
                if self._enqueue_some(swept, limit, lane) < _BATCH:
                    break

    def _enqueue_some(self, swept: Swept, limit: int, lane: Lane) -> int:
        """Of one queue; how many."""
        now = clock.now()
        lost_before = self._lost_before(now, lane)
        with self._database.write() as connection:
            ids = backlog.take_unqueued(connection, now, lost_before, limit, lane)
        for at, scan_id in enumerate(ids):
            try:
                self._queue.enqueue(scan_id, lane)
            except QueueUnavailable:
                with self._database.write() as connection:
                    backlog.put_back(connection, ids[at:])
                raise
            swept.enqueued += 1
        return len(ids)

    def _lost_before(self, now: datetime, lane: Lane) -> datetime:
        """Redis serves first in, first out: what was enqueued before the next in line is not in it any more."""
        grace = timedelta(seconds=self._settings.enqueue_grace)
        next_in_line = self._queue.waiting_since(lane)
        return min(now, next_in_line or now) - grace

    def _end_rescans(self, swept: Swept) -> None:
        """Rescans whose worker is silent."""
        if not self._is_patient():
            swept.rescans_ended += self._rescans.end_leases()

    def _enqueue_rescans(self, swept: Swept) -> None:
        """Rescans that wait."""
        swept.rescans_enqueued += self._rescans.enqueue()

    def _notify(self, swept: Swept) -> None:
        """Webhooks that are due."""
        swept.notified += self._webhooks.notify()

    def _forget(self, swept: Swept) -> None:
        """Webhooks that are history."""
        swept.forgotten += self._webhooks.forget()

    def _count(self, swept: Swept) -> None:
        """What has ended since, for statistics."""
        swept.rolled_up += self._rollups.keep()

    def _found(self, condition: ColumnElement[bool]) -> list[Scan]:
        with self._database.read() as connection:
            return backlog.find(connection, condition, _BATCH)

    def _move(self, scan: Scan, target: Status, why: str, guard: ColumnElement[bool], **values: Any) -> bool:
        cause = Cause(Mover.SWEEPER, why)
        with self._database.write() as connection:
            return scans.move(connection, scan.id, scan.status, target, cause, guard, **values) is not None


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
