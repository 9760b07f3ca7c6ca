"""That a service has deliveries to make: said at once, so that a webhook takes no longer than it must.

Nothing depends on it. The database knows what is due, and the sweeper says so again.
"""

from __future__ import annotations

from worker import telemetry
from worker.adapters.task_queue import TaskQueue
from worker.errors import QueueUnavailable
from worker.policies import Policies
from worker.telemetry import Log


class Hints:
    """Safe to use from several threads."""

    def __init__(self, queue: TaskQueue, policies: Policies) -> None:
        self._queue, self._policies = queue, policies

    def ended(self, service: str) -> None:
        """A decision about one of its scans may have ended, and that is committed. Raises nothing."""
        if self._policies.of(service).webhook_url:
            self.give(service)

    def give(self, service: str) -> None:
        """Have the notifier look. Raises nothing."""
        try:
            self._queue.notify(service)
        except QueueUnavailable as fault:
            telemetry.warn(Log.HINT_FAILED, service=service, error=fault.message, left_to="sweeper")
