"""The worker's processes, as Celery runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import processes
from tests.stack import until
from tests.system import System
from worker.scan import Status

# A machine that is busy, whatever else it does: a process takes longer to start than Celery waits by itself, 4 s.
_BOOT = """
import time
from worker import tasks
start = tasks._start
def slow():
    time.sleep(5)
    return start()
tasks._start = slow
tasks.app.worker_main(["worker", "--queues", "scans", "--concurrency", "1", "--without-gossip", "--without-mingle"])
"""
_PATIENCE = 40  # seconds


@contextmanager
def _busy_worker(system: System) -> Iterator[int]:
    """The number of its main process; it has one more, which scans."""
    worker = subprocess.Popen([sys.executable, "-c", _BOOT], env=os.environ | _variables(system))
    try:
        yield worker.pid
    finally:
        worker.terminate()
        worker.wait(_PATIENCE)


def _variables(system: System) -> dict[str, str]:
    settings = system.settings
    return {
        "LAZARETTO_DATABASE_URL": settings.database_url.get_secret_value(),
        "LAZARETTO_REDIS_URL": settings.redis_url.get_secret_value(),
        "LAZARETTO_QUARANTINE_BUCKET": settings.quarantine_bucket,
        "LAZARETTO_CLEAN_BUCKET": settings.clean_bucket,
        "LAZARETTO_CLAMD": ",".join(settings.clamd),
    }


def _await_clean(system: System) -> None:
    scan = system.upload(b"hello")
    until(lambda: system.scan(scan.id).status is Status.CLEAN, _PATIENCE, "the end of the scan")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_process_that_died_is_replaced_also_where_it_starts_slowly(system: System) -> None:
    """Else a busy machine kills every process that it starts, and no scan is done any more."""
    with _busy_worker(system) as main:
        _await_clean(system)
        pool = {pid for pid in processes.family(main) - {main} if "worker.sandbox" not in processes.command(pid)}
        os.kill(pool.pop(), signal.SIGKILL)
        _await_clean(system)
