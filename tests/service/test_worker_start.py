"""A worker on a machine whose kernel, or whose container, lacks a layer of the sandbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# As on a kernel before 5.13, and in containers whose own filter does not know the call.
WITHOUT_LANDLOCK = """
import os, sys
import pyseccomp
container = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
container.add_rule(pyseccomp.ERRNO(38), "landlock_create_ruleset")
container.load()
os.execv(sys.argv[1], sys.argv[1:])
"""
CELERY = str(Path(sys.executable).parent / "celery")
COMMAND = [sys.executable, "-c", WITHOUT_LANDLOCK, CELERY, "-A", "worker.tasks", "worker", "--concurrency", "1"]
NOWHERE = {
    "LAZARETTO_DATABASE_URL": "sqlite:///lazaretto.db",
    "LAZARETTO_REDIS_URL": "redis://:4c9d1e7a35f802b6@127.0.0.1:9/0",
    "LAZARETTO_CLAMD": "unix:///nonexistent/clamd",
}


def _started(environment: str, tmp_path: Path) -> subprocess.Popen[str]:
    variables = {"PATH": "/usr/bin:/bin", "LAZARETTO_ENV": environment, **NOWHERE}
    return subprocess.Popen(
        COMMAND, env=variables, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_in_production_it_does_not_start(tmp_path: Path) -> None:
    with _started("production", tmp_path) as worker:
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert said.strip().splitlines()[-1].startswith("The worker does not start: the sandbox lacks Landlock (")


@pytest.mark.timeout(60)
def test_in_development_it_says_what_is_missing(tmp_path: Path) -> None:
    with _started("development", tmp_path) as worker:
        assert worker.stderr is not None
        said = next(line for line in worker.stderr if "sandbox_weak" in line)
        os.killpg(worker.pid, signal.SIGKILL)
    assert "Landlock (Landlock syscalls not available" in said
