"""The task queue: Celery on Redis. What is in it is a hint; the database knows what is to be done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from worker import clock
from worker.adapters import broker
from worker.errors import QueueUnavailable
from worker.lanes import Lane
from worker.settings import Settings

SCAN_TASK = "lazaretto.scan"
RESCAN_TASK = "lazaretto.rescan"
WEBHOOKS = "webhooks"
NOTIFY_TASK = "lazaretto.notify"
ENDED = "lazaretto:ended"  # the channel on which the ids of scans are told that may have ended
_HINT_SECONDS = 10  # how long one hint stands for all of a service's, where it was lost on the way
_MOST_BULK = 10_000  # in line: of the millions that may wait, Redis holds no more (1 KB each)
_MOST_HINTS = 1000  # in line: a notifier that is away for days must not find Redis full of them, nor do workers
_AWAY_SECONDS = 5.0  # how long a queue that did not answer is not asked
# How long a process that replaces another may take to start. After its own 4 s Celery kills it and begins again: on a
# busy machine for ever.
_START_SECONDS = 60.0
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_ENQUEUED_AT = "lazaretto_enqueued_at"


class _MostUrgentFirst:
    """How a worker of several queues looks into them: no task of a later one is taken while an earlier one holds any.
    kombu (5.6) has a strategy `priority` for that, but on Redis gives it the queues as a set: in any order."""

    def __init__(self) -> None:
        self._queues: list[str] = []

    def update(self, queues: Iterable[str]) -> None:
        self._queues = sorted(queues, key=lambda name: (*Lane, name).index(name))

    def consume(self, number: int) -> list[str]:
        return self._queues[:number]

    def rotate(self, last_used: str) -> None:
        """Whatever was taken last, the order stays."""


def make_celery(settings: Settings) -> Celery:
    """The one Celery application, for whoever sends tasks and for the worker.

    A task is acknowledged when it is done. A redelivery is harmless (the claim decides) and a loss is repaired by
    the sweeper, so neither Celery's retries nor its results are used.
    """
    broker.install()
    app = Celery("lazaretto", broker=settings.redis_url.get_secret_value(), set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue=Lane.SCANS.value,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=settings.task_limit,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_proc_alive_timeout=_START_SECONDS,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # however long Redis is away
        broker_connection_timeout=settings.connect_timeout,
        broker_transport_options={
            "queue_order_strategy": _MostUrgentFirst,
            "visibility_timeout": settings.visibility_timeout,
            "socket_connect_timeout": settings.connect_timeout,
            "socket_timeout": settings.connect_timeout * 5,
            "socket_keepalive": True,
            "health_check_interval": 30,
        },
    )
    return app


class TaskQueue:
    """Where scans wait for a worker. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._celery = make_celery(settings)
        # By itself kombu tries a refused connection again for two seconds, which an upload would wait for.
        options = self._celery.conf.broker_transport_options
        options |= {"max_retries": 0, "socket_timeout": settings.connect_timeout}
        self._away_until = 0.0
        self._redis = redis.Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_connect_timeout=settings.connect_timeout,
            socket_timeout=settings.connect_timeout,
        )

    def enqueue(self, scan_id: str, lane: Lane = Lane.SCANS) -> None:
        """Hand a scan to the workers. Raises `QueueUnavailable`, at once: the sweeper tries again, not we."""
        self._enqueue(SCAN_TASK, scan_id, lane)

    def enqueue_rescan(self, scan_id: str) -> None:
        """The same for another look at what was promoted."""
        self._enqueue(RESCAN_TASK, scan_id, Lane.BULK)

    def _enqueue(self, task: str, scan_id: str, queue: str) -> None:
        headers = {_ENQUEUED_AT: clock.now().isoformat()}
        self._hand_over(lambda: self._celery.send_task(task, args=[scan_id], queue=queue, headers=headers, retry=False))

    def notify(self, service: str) -> None:
        """Have the notifier look for a service's deliveries, unless it is about to, or nobody takes hints up. Raises
        `QueueUnavailable`, at once: the sweeper tries again, not we."""

        def hint() -> None:
            new = self._redis.set(_hinted(service), 1, nx=True, ex=_HINT_SECONDS)
            if new and self._ask("llen", WEBHOOKS) < _MOST_HINTS:
                self._celery.send_task(NOTIFY_TASK, args=[service], queue=WEBHOOKS, retry=False)

        self._hand_over(hint)

    def tell_ended(self, scan_id: str) -> None:
        """Have those look who wait for the end of a scan, in whichever API process. Raises `QueueUnavailable`."""
        self._hand_over(lambda: self._redis.publish(ENDED, scan_id))

    def heed(self, service: str) -> None:
        """The notifier is about to look: whatever comes from now on needs another hint. Raises `QueueUnavailable`."""
        self._ask("delete", _hinted(service))

    def _hand_over(self, send: Callable[[], object]) -> None:
        if time.monotonic() < self._away_until:  # one upload has just waited for it in vain; not every one must
            raise QueueUnavailable
        try:
            send()
        except (OperationalError, redis.RedisError, OSError) as fault:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            raise QueueUnavailable(f"the task queue does not answer ({fault}); the sweeper hands it over") from fault

    def waiting(self, queue: str = Lane.SCANS) -> int:
        """How many tasks of a queue no worker has taken yet. Raises `QueueUnavailable`."""
        return int(self._ask("llen", queue))

    def room(self) -> int:
        """How many more bulk tasks the line takes; the sweeper hands over the others as it gets shorter. Raises
        `QueueUnavailable`."""
        return max(0, _MOST_BULK - self.waiting(Lane.BULK))

    def waiting_since(self, queue: str = Lane.SCANS) -> datetime | None:
        """When the task that is next in line was enqueued; None where the line is empty.

        The line is first in, first out, so a task that was enqueued earlier and is not at work is lost.
        """
        raw = self._ask("lindex", queue, -1)
        if raw is None:
            return None
        try:
            since = datetime.fromisoformat(json.loads(raw)["headers"][_ENQUEUED_AT])
            return since if since.tzinfo else _LONG_AGO
        except (ValueError, LookupError, TypeError):
            return _LONG_AGO  # somebody else's message: nothing is known to be lost before it has gone

    def check(self) -> None:
        """Return if Redis answers. Raises `QueueUnavailable`."""
        self._ask("ping")

    def _ask(self, command: str, *arguments: Any) -> Any:
        try:
            return getattr(self._redis, command)(*arguments)
        except (redis.RedisError, OSError) as fault:
            raise QueueUnavailable(f"the task queue does not answer ({fault})") from fault

    def close(self) -> None:
        self._redis.close()
        self._celery.close()


def _hinted(service: str) -> str:
    """What is in Redis while a hint is on its way: a thousand outcomes at once need one."""
    return f"lazaretto:hinted:{service}"
