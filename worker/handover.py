"""Step: from the record to the queue, once the commit is done.

Scans are safe whether or not this works; where it does not, the sweeper should know at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from worker import telemetry
from worker.adapters.task_queue import TaskQueue
from worker.errors import DatabaseUnavailable, QueueUnavailable
from worker.scan import Scan
from worker.store import backlog, scans
from worker.store.database import Database
from worker.telemetry import Log


def hand_over(database: Database, queue: TaskQueue, scan: Scan) -> None:
    """One scan, into the queue that it belongs to."""
    try:
        queue.enqueue(scan.id, scan.lane)
    except QueueUnavailable as fault:
        telemetry.warn(Log.ENQUEUE_FAILED, scan_id=scan.id, error=fault.message)
        with suppress(DatabaseUnavailable), database.write() as connection:
            scans.amend(connection, scan.id, enqueued_at=None)


def room(queue: TaskQueue) -> int:
    """How many more the line of bulk tasks takes now; what it does not, the sweeper hands over as it gets shorter."""
    try:
        return queue.room()
    except QueueUnavailable:
        return 0


def hand_over_all(database: Database, queue: TaskQueue, some: Sequence[Scan]) -> None:
    """Some scans, one after the other; the queue is asked no more once it has not answered."""
    for at, scan in enumerate(some):
        try:
            queue.enqueue(scan.id, scan.lane)
        except QueueUnavailable as fault:
            left = [each.id for each in some[at:]]
            telemetry.warn(Log.ENQUEUE_FAILED, scans=len(left), error=fault.message)
            with suppress(DatabaseUnavailable), database.write() as connection:
                backlog.put_back(connection, left)
            return
