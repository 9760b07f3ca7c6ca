"""That a scan has ended: said at once, so that those who wait for it, and its webhook, take no longer than they must.

Nothing depends on it. The database knows what has ended and what is due; whoever waits looks there, and the sweeper.
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

    def ended(self, service: str, scan_id: str) -> None:
        """A decision about this scan may have ended, and that is committed. Raises nothing."""
        try:
            self._queue.tell_ended(scan_id)
        except QueueUnavailable as fault:
            telemetry.warn(Log.HINT_FAILED, scan_id=scan_id, error=fault.message, left_to="whoever waits")
        if self._policies.of(service).webhook_url:
            self.give(service)

    def give(self, service: str) -> None:
        """Have the notifier look. Raises nothing."""
        try:
            self._queue.notify(service)
        except QueueUnavailable as fault:
            telemetry.warn(Log.HINT_FAILED, service=service, error=fault.message, left_to="sweeper")
