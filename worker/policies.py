"""The policy as it stands now: a changed file is in force within a second, a faulty one changes nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

from worker import telemetry
from worker.errors import LazarettoError
from worker.policy import Policy
from worker.policy_file import PolicyFault, PolicyFile
from worker.telemetry import Log

_QUIET_SECONDS = 0.3  # since the last write to it
_LOOK_SECONDS = 0.5  # between two looks at the file; one costs microseconds


class Policies:
    """Everybody's rules; one per process. Safe to use from several threads.

    Whoever goes by a policy for longer than a moment asks once and keeps the answer: the next may be another.
    """

    def __init__(self, path: Path) -> None:
        """Raises `PolicyFault` where the file cannot be used."""
        self._path = path
        self._seen = _stamp(path)
        self._file = PolicyFile.load(path)
        self._fault: PolicyFault | None = None
        self._look_at = time.monotonic() + _LOOK_SECONDS

    @property
    def file(self) -> PolicyFile:
        """All of it."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._look()
        return self._file

    def of(self, service: str) -> Policy:
        """The rules for a service."""
        return self.file.of(service)

    @property
    def is_refused(self) -> bool:
        """Has the file been changed for one that is not in force?"""
        return bool(self.file) and self._fault is not None

    def check(self) -> str:
        """Which policy is in force. Raises `PolicyFault` where the file has been changed for one that is not."""
        in_force = self.file.fingerprint
        if self._fault:
            count = len(self._fault.faults)
            raise LazarettoError(f"policy {in_force} stays in force: the file has {count} faults, see the log")
        return f"policy {in_force} is in force"

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._seen or _is_being_written(stamp):
            return
        self._seen = stamp
        try:
            self._file, self._fault = PolicyFile.load(self._path), None
            telemetry.say(Log.POLICY_LOADED, fingerprint=self._file.fingerprint)
        except PolicyFault as fault:
            self._fault = fault
            telemetry.alarm(Log.POLICY_REFUSED, faults=fault.faults, in_force=self._file.fingerprint)


def _is_being_written(stamp: tuple[int, ...]) -> bool:
    """Half of a file may be in order, and lack a service."""
    return bool(stamp) and 0 <= time.time() - stamp[2] / 1e9 < _QUIET_SECONDS


def _stamp(path: Path) -> tuple[int, ...]:
    """Differs for another file: editors put a new one in place, and ConfigMaps turn a symlink. Empty: none is there."""
    try:
        found = os.stat(path)  # noqa: PTH116 - follows symlinks, as opening does
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
