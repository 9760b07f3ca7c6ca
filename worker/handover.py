"""Step: from the record to the queue, once the commit is done."""

from __future__ import annotations

from contextlib import suppress

from worker import telemetry
from worker.adapters.task_queue import TaskQueue
from worker.errors import DatabaseUnavailable, QueueUnavailable
from worker.scan import Scan
from worker.store import scans
from worker.store.database import Database
from worker.telemetry import Log


def hand_over(database: Database, queue: TaskQueue, scan: Scan) -> None:
    """The scan is safe whether or not this works; where it does not, the sweeper should know at once."""
    try:
        queue.enqueue(scan.id)
    except QueueUnavailable as fault:
        telemetry.warn(Log.ENQUEUE_FAILED, scan_id=scan.id, error=fault.message)
        with suppress(DatabaseUnavailable), database.write() as connection:
            scans.amend(connection, scan.id, enqueued_at=None)
