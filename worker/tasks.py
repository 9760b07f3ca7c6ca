"""The worker's process: puts the parts together and runs scans. `celery -A worker.tasks worker --queues scans`"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.signals import (
    celeryd_init,
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)

from worker import metric_files, metrics, stopping, telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import RESCAN_TASK, SCAN_TASK, TaskQueue, make_celery
from worker.assembly import make_inspector, make_sandbox, make_scanners
from worker.custody import Custody
from worker.errors import DatabaseUnavailable, SandboxUnavailable
from worker.gate import Gate
from worker.hints import Hints
from worker.pipeline import Pipeline
from worker.policies import Policies
from worker.rescan import Rescanner
from worker.sandbox import Sandbox
from worker.seal import Sealer
from worker.settings import Settings, load
from worker.settle import Settler
from worker.store.database import Database
from worker.telemetry import Log

app = make_celery(load())


class Parts:
    """Everything one worker process holds, made after the fork: connections must not be shared."""

    def __init__(self, settings: Settings, objects: ObjectStore, sandbox: Sandbox) -> None:
        self.database = Database(settings.database_url.get_secret_value(), connect_timeout=settings.connect_timeout)
        policies = Policies(settings.policy_file)
        self.scanners = make_scanners(settings, self.database, lambda: policies.file.largest_upload)
        self.sandbox = sandbox
        inspector = make_inspector(settings, objects, self.scanners, self.sandbox)
        where: Any = {"quarantine": settings.quarantine_bucket, "call_seconds": settings.s3_call_limit}
        sealer, settler = Sealer(self.database, objects, inspector, **where), Settler(objects, **where)
        gate = Gate(self.scanners, objects, settings.quarantine_bucket)
        custody = Custody(self.database, gate, settings)
        self.pipeline = Pipeline(self.database, custody, sealer, inspector, settler, policies, settings)
        self.rescanner = Rescanner(
            self.database, objects, inspector, self.scanners, gate, settings, actor=custody.actor
        )
        self.queue = TaskQueue(settings)
        self.hints = Hints(self.queue, policies)

    def start(self) -> None:
        """Look at the scanners before the first scan, and from then on regularly; start the sandbox's server, for
        which a small file would wait longer than for everything else."""
        threading.Thread(target=self.scanners.watch, name="scanner-watch", daemon=True).start()
        with suppress(SandboxUnavailable):  # which the first scan will find out, and have on record
            self.sandbox.missing_layers()

    def scan(self, scan_id: str) -> None:
        """Bring one scan as far as it goes now."""
        if claimed := self.pipeline.run(scan_id):
            self.hints.ended(claimed.service, scan_id)

    def rescan(self, scan_id: str) -> None:
        """Look at what was promoted once more; a file that is recalled is settled at once."""
        if self.rescanner.run(scan_id):
            self.scan(scan_id)

    def stop(self) -> None:
        """Hand back what is at work. Takes no lock: safe in a signal handler."""
        self.pipeline.stop()
        self.rescanner.stop()

    def close(self) -> None:
        self.queue.close()
        self.scanners.close()
        self.sandbox.close()
        self.database.close()


_parts: Parts | None = None


@app.task(name=SCAN_TASK)
def scan(scan_id: str) -> None:
    """Bring one scan as far as it goes now; see `worker.pipeline`."""
    _unless_the_database_is_away((_parts or _start()).scan, scan_id)


@app.task(name=RESCAN_TASK)
def rescan(scan_id: str) -> None:
    """Look at promoted bytes once more; see `worker.rescan`."""
    _unless_the_database_is_away((_parts or _start()).rescan, scan_id)


def _unless_the_database_is_away(work: Callable[[str], None], scan_id: str) -> None:
    try:
        work(scan_id)
    except DatabaseUnavailable as fault:
        telemetry.alarm(Log.SCAN_LEFT, scan_id=scan_id, error=fault.message, left_to="sweeper")


@celeryd_init.connect
def _log_as_json(instance: Any, **_signal: object) -> None:
    """From the first line on: Celery's banner is no JSON."""
    telemetry.configure()
    instance.quiet = True


@worker_init.connect
def _look_at_the_sandbox(**_signal: object) -> None:
    """Before anything else. A missing layer ends the worker in production, and is said in development."""
    telemetry.started("worker")
    metric_files.share(load().metrics_dir)
    sandbox = make_sandbox(load())
    try:
        missing = sandbox.missing_layers()
    except SandboxUnavailable as fault:
        raise SystemExit(f"The worker does not start: {fault.message}") from fault
    finally:
        sandbox.close()
    metrics.layers_missing(len(missing))
    if missing:
        telemetry.alarm(Log.SANDBOX_WEAK, missing=list(missing))


@worker_ready.connect
def _lead_the_pool(sender: Any, **_signal: object) -> None:
    """In the main process, which runs no scan itself."""
    stopping.in_main_process(sender.pool, load().stop_seconds)


@worker_process_init.connect
def _join_the_pool(**_signal: object) -> None:
    stopping.in_pool_process(_start().stop)


def _start() -> Parts:
    global _parts  # Celery hands tasks nothing but their arguments
    settings = load()
    objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)
    _parts = Parts(settings, objects, make_sandbox(settings))
    _parts.start()
    return _parts


@worker_process_shutdown.connect
def _stop(**_signal: object) -> None:
    if _parts:
        _parts.close()


@setup_logging.connect
def _configure_logging(**_signal: object) -> None:
    telemetry.configure()
