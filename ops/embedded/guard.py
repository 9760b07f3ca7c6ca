"""Ends process groups whose supervisor is gone without having ended them, whatever killed it.

A process of its own, which reads from a pipe that only the supervisor can write to: `+PGID` and `-PGID`, one a line.
The pipe's end is the supervisor's end. The kernel's parent-death signal would not do: it reaches the child alone and
not, say, the pool of a Celery worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress


class Guard:
    """The supervisor's side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__], stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
        )

    def watch(self, group: int) -> None:
        """From now on, kill this process group when we are gone."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """The group has ended; its number may soon be somebody else's."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Nothing is left to be guarded: whatever was not forgotten is killed."""
        with self._process:  # closes the pipe, then waits
            pass

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # a killed guard must not keep the stack from stopping
                self._process.stdin.write(line)


def main() -> None:
    """The guard's side: keep the list, and kill what is on it at the end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
