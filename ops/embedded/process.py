"""One running service: a process group of its own, with its log."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from ops.embedded.accounts import group_of
from ops.embedded.guard import Guard
from ops.embedded.service import Service

_TAIL = 12  # lines of a log that usually hold the reason


class Process:
    """Starts and stops a service as often as needed; nothing it started outlives a stop."""

    def __init__(self, service: Service, log: Path, guard: Guard) -> None:
        self.service = service
        self.log = log
        self._guard = guard
        self._running: subprocess.Popen[bytes] | None = None
        self._asked = False
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))  # what was there before is kept once

    @property
    def pid(self) -> int | None:
        """The program's process id while it has not been stopped."""
        return self._running.pid if self._running else None

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: the signal), or None while it runs."""
        return self._running.poll() if self._running else None

    def start(self) -> None:
        """Start the program. Raises `OSError` where it cannot be executed."""
        self.service.prepare()
        account = self.service.account
        self.log.touch(0o600)
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                self.service.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_necessities() | dict(self.service.environment()),
                cwd=self.service.folder(),
                start_new_session=True,
                user=account,
                group=group_of(account) if account else None,
                extra_groups=[] if account else None,
            )
        self._asked = False
        self._guard.watch(self._running.pid)

    def ask_to_stop(self) -> None:
        """Send the signal, once: a Celery worker takes a second one as an order to drop its tasks.

        To the leader alone: the worker's pool must not be ended under the tasks it finishes.
        """
        if self._running is not None and not self._asked:
            self._asked = True
            self._running.send_signal(self.service.stop_signal)

    def stop(self) -> None:
        """Let the program end, for as long as it may take, then kill what is left of its group."""
        if self._running is None:
            return
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self._running.wait(self.service.stop_seconds)
        end_group(self._running)
        self._guard.forget(self._running.pid)
        self._running = None
        self.service.clear()


def end_group(leader: subprocess.Popen[bytes]) -> None:
    """Kill a program and everything it started; does nothing where all of it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()


def tail(log: Path) -> str:
    """The end of a log, indented."""
    lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join(f"    {line}" for line in lines)


def _necessities() -> dict[str, str]:
    """The environment of a server: nothing of the operator's but where programs are."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": os.environ.get("TZ", "UTC")}
