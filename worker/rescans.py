"""Use case: have promoted files looked at once more, after the signatures have changed. One, or all that are due.

Asking is a row; the sweeper hands it to the workers that nobody waits for, and `worker.rescan` does the work. Asking
again for what still waits is the same rescan.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from worker import clock, telemetry
from worker.adapters.task_queue import TaskQueue
from worker.errors import DatabaseUnavailable, QueueUnavailable, WrongStatus
from worker.idempotency import UNRESERVED, Reservation
from worker.operations import Order
from worker.scan import PROMOTED, Scan
from worker.store import rescans, scans
from worker.store.database import Database
from worker.store.rescans import Asker, Wanted
from worker.telemetry import Log

MOST = 5000  # promoted scans of one stretch, wanted or not: so what it costs does not grow with their number


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the way along all promoted scans, by ascending id."""

    count: int  # how many of those on it are wanted
    last: str | None  # behind which the next one begins; None: this was the last


class Rescans:
    """Safe to use from several threads."""

    def __init__(self, database: Database, queue: TaskQueue) -> None:
        self._database, self._queue = database, queue

    def ask(self, scan: Scan, order: Order, reservation: Reservation = UNRESERVED) -> Scan:
        """Have one scan's promoted bytes looked at; the scan, which stays as it is.

        Raises `WrongStatus`, and what `Reservation.replay` and `Reservation.bind` raise.
        """
        fields = {"scan": scan.id, "rescan": True}
        if replayed := reservation.replay(fields):
            return replayed
        with self._database.write() as connection:
            new = rescans.ask(connection, _asker(order), [scan.id], enqueued_at=clock.now())
            now = scans.get(connection, scan.id) or scan
            if now.status not in PROMOTED:
                raise WrongStatus(f"The scan is {now.status}.", expected="a scan that is clean or released")
            reservation.bind(connection, scan.id, fields)
        if new:
            self._hand_over(scan)
        return now

    def ask_all(self, wanted: Wanted, order: Order, *, most: int, after: str = "") -> Stretch:
        """Have the wanted ones among the next `most` scans behind the id `after` looked at again; the sweeper hands
        them over. Can be repeated at any point: what waits already is not counted."""
        with self._database.read() as connection:
            found, last = rescans.stretch(connection, wanted, after, min(most, MOST))
        with self._database.write() as connection:  # which others wait for, and not for what was read
            return Stretch(rescans.ask(connection, _asker(order), found, enqueued_at=None), last)

    def count(self, wanted: Wanted, *, most: int, after: str = "") -> Stretch:
        """How many the same call of `ask_all` would ask for."""
        with self._database.read() as connection:
            found, last = rescans.stretch(connection, wanted, after, min(most, MOST))
            return Stretch(rescans.count(connection, found), last)

    def _hand_over(self, scan: Scan) -> None:
        """It is on record whether or not this works; where it does not, the sweeper should know at once."""
        try:
            self._queue.enqueue_rescan(scan.id)
        except QueueUnavailable as fault:
            telemetry.warn(Log.ENQUEUE_FAILED, scan_id=scan.id, error=fault.message)
            with suppress(DatabaseUnavailable), self._database.write() as connection:
                rescans.put_back(connection, [scan.id])


def _asker(order: Order) -> Asker:
    return Asker(order.actor, order.request_id, order.reason)
