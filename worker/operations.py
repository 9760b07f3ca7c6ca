"""Use cases of whoever owns or operates a scan: each on record with who asked, and each the next decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn

from sqlalchemy import Connection

from worker import clock, telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.errors import NothingHeld, WrongStatus
from worker.handover import hand_over, hand_over_all, room
from worker.idempotency import UNRESERVED, Reservation
from worker.keys import clean_key
from worker.lanes import Lane, lane_of
from worker.scan import HELD, Cause, Mover, Promoted, Scan, Status
from worker.settings import Settings
from worker.store import orders, scans
from worker.store.database import Database
from worker.telemetry import Log
from worker.tidy import Tidier

_TOGETHER = 200  # scans of one transaction: whoever uploads waits for its end, on SQLite
_UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks for something, and why."""

    actor: str  # as events name them
    mover: Mover  # SERVICE for its own scans, else OPERATOR
    request_id: str | None = None
    reason: str | None = None  # in their own words

    def cause(self, what: str) -> Cause:
        """What the event will say."""
        return Cause(self.mover, f"{what}: {self.reason}" if self.reason else what, self.actor, self.request_id)


class Operations:
    """Safe to use from several threads."""

    def __init__(self, database: Database, objects: ObjectStore, queue: TaskQueue, settings: Settings) -> None:
        self._database, self._queue = database, queue
        self._tidier = Tidier(database, objects, settings)
        self._clean, self._lease = settings.clean_bucket, timedelta(seconds=settings.lease_seconds)
        self._large_size = settings.large_size

    def retry(self, scan: Scan, order: Order, reservation: Reservation = UNRESERVED) -> Scan:
        """Examine a held file once more, as if it had just come: with all its attempts, and before any bulk work.

        Raises `WrongStatus`, `NothingHeld`, and what `Reservation.replay` and `Reservation.bind` raise.
        """
        fields = {"scan": scan.id}
        if replayed := reservation.replay(fields):
            return replayed
        with self._database.write() as connection:
            moved = None
            if scan.status in HELD:
                cause, lane = order.cause("tried again"), self._lane(scan)
                moved = orders.retry(connection, scan, cause, lane, enqueued_at=clock.now())
            if moved is None:
                _refuse(connection, scan, *sorted(HELD))
            reservation.bind(connection, scan.id, fields)
        telemetry.say(Log.RETRY_ORDERED, scan_id=scan.id, actor=order.actor)
        hand_over(self._database, self._queue, moved)
        return moved

    def release(self, scan: Scan, order: Order, reservation: Reservation = UNRESERVED) -> Scan:
        """Have a held file promoted that could not be proven clean: the bytes as they were uploaded, for a reason.

        A worker carries it out, by the way of every other verdict: bytes that are not those on record are deleted.
        Raises `ValueError` without `order.reason`, `WrongStatus`, `NothingHeld`, and what `Reservation.replay` and
        `Reservation.bind` raise.
        """
        if not order.reason:
            raise ValueError("a release needs a reason, in the words of whoever orders it")
        fields = {"scan": scan.id, "reason": order.reason}
        if replayed := reservation.replay(fields):
            return replayed
        with self._database.write() as connection:
            moved = self._released(connection, scan, order.cause("released"))
            reservation.bind(connection, scan.id, fields)
        telemetry.say(Log.RELEASE_ORDERED, scan_id=scan.id, actor=order.actor)
        hand_over(self._database, self._queue, moved)
        return moved

    def _released(self, connection: Connection, scan: Scan, cause: Cause) -> Scan:
        moved = None
        if scan.status is Status.UNSCANNABLE and scan.size is not None and scan.sha256 is not None:
            key = clean_key(replace(scan, decision=scan.decision + 1))
            promoted = Promoted(self._clean, key, scan.size, scan.sha256, scan.detected_type or _UNKNOWN_TYPE)
            moved = orders.release(
                connection, scan, cause, self._lane(scan), promoted=promoted, over=clock.now() - self._lease
            )
        return moved or _refuse(connection, scan, Status.UNSCANNABLE)

    def _lane(self, scan: Scan) -> Lane:
        return lane_of(scan.size or 0, scan.filename, scan.declared_type, self._large_size)

    def count(self, wanted: scans.Filter, ended_before: datetime | None = None) -> int:
        """How many held files `retry_all` would put back, had it no end."""
        with self._database.read() as connection:
            return orders.count(connection, wanted, ended_before or clock.now())

    def retry_all(self, wanted: scans.Filter, order: Order, *, most: int, ended_before: datetime | None = None) -> int:
        """Put up to `most` held files back, in the queue that delays no upload; how many it were.

        What ends from now on, or from `ended_before` on, is left alone: nothing that fails again is put back twice. It
        may be interrupted anywhere, repeated, and asked for twice at once: what is back in line is held no more.
        """
        bound, cause, done = ended_before or clock.now(), order.cause("tried again, with others"), 0
        while done < most:
            with self._database.read() as connection:
                found = orders.held(connection, wanted, bound, min(_TOGETHER, most - done))
            if not found:
                break
            moved = self._retried(found, cause)
            done += len(moved)
        telemetry.say(Log.RETRY_ORDERED, scans=done, actor=order.actor)
        return done

    def _retried(self, found: list[Scan], cause: Cause) -> list[Scan]:
        """Those that nobody else has taken meanwhile; handed over as far as the line has room."""
        enqueued_at = clock.now() if len(found) <= room(self._queue) else None
        with self._database.write() as connection:
            each = (orders.retry(connection, scan, cause, Lane.BULK, enqueued_at=enqueued_at) for scan in found)
            moved = [scan for scan in each if scan]
        if enqueued_at:
            hand_over_all(self._database, self._queue, moved)
        return moved

    def erase(self, scan: Scan, order: Order) -> Scan:
        """Delete the bytes of a scan wherever they are, at any status; the record stays. Safe to repeat.

        Whoever works on it finds it gone; what they may still be writing the sweeper deletes one lease later.
        Raises `StoreUnavailable` where the bytes are still there: the sweeper deletes them when the store is back.
        """
        while scan.status is not Status.ERASED:
            scan = self._erased(scan, order.cause("erased on request"))
        self._tidier.tidy(scan)
        return scan

    def _erased(self, scan: Scan, cause: Cause) -> Scan:
        """The scan, erased, or as somebody else has just left it."""
        with self._database.write() as connection:
            moved = scans.move(connection, scan.id, scan.status, Status.ERASED, cause, tidy_at=clock.now())
            return moved or scans.get(connection, scan.id) or scan


def _refuse(connection: Connection, scan: Scan, *wanted: Status) -> NoReturn:
    """Say what keeps a scan, as it is by now, from what was asked for. Raises `WrongStatus` or `NothingHeld`."""
    now = scans.get(connection, scan.id) or scan
    expected = f"a scan that is {' or '.join(wanted)}"
    if now.status not in wanted:
        raise WrongStatus(f"The scan is {now.status}.", expected=expected)
    if now.quarantine_key is None or not now.sealed:
        raise NothingHeld
    raise WrongStatus("Somebody else has had the scan decided anew meanwhile.", expected="another look at it")
