"""Recovery of webhooks: what is due is handed to the notifier, and what is old is forgotten."""

from __future__ import annotations

from datetime import timedelta

from worker import clock, signing
from worker.adapters.task_queue import TaskQueue
from worker.policies import Policies
from worker.settings import Settings
from worker.store import outbox
from worker.store.database import Database

_BATCH = 500
_MOST_BATCHES = 10  # of one sweep


class WebhookSweeper:
    """Two steps of the sweeper; safe to repeat, and at once."""

    def __init__(self, database: Database, queue: TaskQueue, policies: Policies, settings: Settings) -> None:
        self._database, self._queue, self._policies = database, queue, policies
        self._keep = timedelta(days=settings.webhook_keep_days)

    def notify(self) -> int:
        """Hand over deliveries that are due, also those whose notifier was lost; of how many services.

        A policy that has come to name a URL gets its secret first. Raises `QueueUnavailable`.
        """
        signing.ensure_all(self._database, self._policies)
        with self._database.read() as connection:
            due = outbox.due_services(connection)
        for service in due:
            self._queue.notify(service)
        return len(due)

    def forget(self) -> int:
        """Delete deliveries that were made, or given up, and kept for as long as the settings say; how many."""
        before, forgotten = clock.now() - self._keep, 0
        for batch in range(1, _MOST_BATCHES + 1):
            with self._database.write() as connection:
                forgotten += outbox.delete_ended(connection, before, _BATCH)
            if forgotten < batch * _BATCH:
                break
        return forgotten
