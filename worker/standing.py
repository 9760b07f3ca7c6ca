"""How the installation stands, measured when somebody scrapes: what waits, the scanners, the dependencies.

The same whoever is asked, so of several machines that are, one speaks for all: take the maximum, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import Metric

from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.exposition import gauge
from worker.settings import Settings
from worker.statistics import Now
from worker.stats import Stats
from worker.store import scanners, standing
from worker.store.database import Database

_PATIENCE = 3.0  # seconds for all dependencies together: Prometheus itself waits for 10


class Standing:
    """A collector; one per process that is scraped."""

    def __init__(self, database: Database, objects: ObjectStore, queue: TaskQueue, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._stats = Stats(database)
        self._looks: dict[str, Callable[[], Any]] = {
            "database": self._look,
            "quarantine": lambda: objects.check(settings.quarantine_bucket),
            "clean": lambda: objects.check(settings.clean_bucket),
            "redis": queue.check,
        }
        self._threads = ThreadPoolExecutor(len(self._looks), thread_name_prefix="standing")
        self._asked: dict[str, Future[Any]] = {}

    def collect(self) -> Iterable[Metric]:
        """Whatever does not answer in time is down; it is not asked again before it has."""
        for name, look in self._looks.items():
            if name not in self._asked:
                self._asked[name] = self._threads.submit(look)
        wait(self._asked.values(), timeout=_PATIENCE)
        answers = {name: future for name, future in self._asked.items() if future.done()}
        for name in answers:
            del self._asked[name]
        up = {name for name, future in answers.items() if future.exception() is None}
        yield gauge("dependency_up", {(name,): float(name in up) for name in self._looks})
        if "database" in up:
            yield from answers["database"].result()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _look(self) -> list[Metric]:
        """What the database knows. Raises `DatabaseUnavailable`."""
        fresh = clock.now() - timedelta(seconds=self._settings.canary_seconds)
        now = self._stats.now()
        with self._database.read() as connection:
            settling = standing.settling_since(connection)
            pending, overdue = standing.webhooks(connection)
            found = scanners.since(connection, fresh)
        return [
            *_waiting(now),
            gauge("settling_oldest_seconds", {(): _age(settling)}),
            gauge("webhooks_pending", {(): pending}),
            gauge("webhook_oldest_seconds", {(): _age(overdue)}),
            gauge("scanner_up", {(each["name"],): float(each["trusted"]) for each in found}),
            gauge(
                "signature_age_seconds",
                {(each["name"],): _age(each["database_time"]) for each in found if each["database_time"]},
            ),
        ]


def _waiting(now: Now) -> Iterable[Metric]:
    counts = now.pending | now.held
    yield gauge("scans", {(status.value,): number for status, number in counts.items()})
    yield gauge("queue_waiting", {(each.queue,): each.number for each in now.queues})
    yield gauge("queue_oldest_seconds", {(each.queue,): _age(each.oldest) for each in now.queues})


def _age(moment: datetime | None) -> float:
    """In seconds; 0 for what has not come yet, and for nothing."""
    return max(0.0, (clock.now() - moment).total_seconds()) if moment else 0.0
