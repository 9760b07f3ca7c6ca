"""Whatever becomes of a supervisor, its children do not stay behind."""

from __future__ import annotations

import subprocess
import sys

from ops.embedded.guard import Guard
from tests import processes
from tests.stack import until

# A child with a grandchild, as a Celery worker has; both ignore polite requests.
_FAMILY = ["sh", "-c", "trap '' TERM HUP INT; sleep 1000 & wait"]
_SUPERVISOR = f"""
import os, signal, subprocess
from ops.embedded.guard import Guard
guard = Guard()
child = subprocess.Popen({_FAMILY!r}, start_new_session=True)
guard.watch(child.pid)
print(child.pid, flush=True)
signal.pause()
"""


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(_FAMILY, start_new_session=True)


def test_a_killed_supervisor_takes_its_children_and_theirs_along() -> None:
    with subprocess.Popen([sys.executable, "-c", _SUPERVISOR], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        until(lambda: len(processes.family(child)) == 2, 5, "the grandchild")
        family = processes.family(child)
        supervisor.kill()
    until(lambda: not any(processes.alive(pid) for pid in family), 5, "the end of the family")


def test_closing_kills_what_was_not_forgotten_and_nothing_else() -> None:
    guard, watched, forgotten = Guard(), _child(), _child()
    guard.watch(watched.pid)
    guard.watch(forgotten.pid)
    guard.forget(forgotten.pid)
    guard.close()
    assert watched.wait(5) == -9
    assert forgotten.poll() is None
    for pid in processes.family(forgotten.pid):
        subprocess.run(["kill", "-KILL", str(pid)], check=True)
    forgotten.wait(5)
