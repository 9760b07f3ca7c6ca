"""The notifier's process, the only one that talks to the outside: puts the parts together and delivers webhooks.

`celery -A worker.notifier worker --queues webhooks --pool threads`. It has no credentials for the object store, no
scanner and no sandbox, and never holds a file.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

from celery.signals import celeryd_init, setup_logging, worker_init, worker_shutdown, worker_shutting_down

from worker import metric_files, signing, telemetry
from worker.adapters.addresses import networks
from worker.adapters.receiver import Receivers
from worker.adapters.task_queue import NOTIFY_TASK, TaskQueue, make_celery
from worker.deliver import Deliverer
from worker.errors import DatabaseUnavailable, QueueUnavailable
from worker.hints import Hints
from worker.policies import Policies
from worker.settings import Settings
from worker.store.database import Database
from worker.telemetry import Log


class NotifierSettings(Settings):
    """What this process needs, in production, is less than what others do."""

    NECESSARY: ClassVar[frozenset[str]] = frozenset({"database_url", "redis_url"})


class Parts:
    """Everything the process holds; shared by its threads."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings.database_url.get_secret_value(), connect_timeout=settings.connect_timeout)
        self.queue = TaskQueue(settings)
        policies = Policies(settings.policy_file)
        signing.ensure_all(self.database, policies)
        allowed = networks(settings.webhook_allowed_networks)
        self.receivers = Receivers(timeout=settings.webhook_timeout, allowed=allowed)
        self.deliverer = Deliverer(self.database, self.receivers, Hints(self.queue, policies), policies, settings)

    def close(self) -> None:
        self.receivers.close()
        self.queue.close()
        self.database.close()


_settings = NotifierSettings()
app = make_celery(_settings)
_parts: Parts | None = None


@app.task(name=NOTIFY_TASK)
def notify(service: str) -> None:
    """Make what deliveries a service has; see `worker.deliver`."""
    if _parts is None:
        raise RuntimeError("a task came before the worker had started")
    try:
        with suppress(QueueUnavailable):  # another hint is late, then, or the sweeper gives it
            _parts.queue.heed(service)
        _parts.deliverer.run(service)
    except DatabaseUnavailable as fault:
        telemetry.alarm(Log.WEBHOOKS_LEFT, service=service, error=fault.message, left_to="sweeper")


@celeryd_init.connect
def _log_as_json(instance: Any, **_signal: object) -> None:
    """From the first line on: Celery's banner is no JSON."""
    telemetry.configure()
    instance.quiet = True


@worker_init.connect
def _start(**_signal: object) -> None:
    global _parts  # Celery hands tasks nothing but their arguments
    telemetry.started("notifier")
    metric_files.share(_settings.metrics_dir)
    _parts = Parts(_settings)


@worker_shutting_down.connect
def _begin_no_other(**_signal: object) -> None:
    if _parts:
        _parts.deliverer.stop()


@worker_shutdown.connect
def _stop(**_signal: object) -> None:
    if _parts:
        _parts.close()


@setup_logging.connect
def _configure_logging(**_signal: object) -> None:
    telemetry.configure()
