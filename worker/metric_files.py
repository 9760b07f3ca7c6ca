"""Where the processes of one machine keep what they count, so that any of them can tell of all.

Each process has a place, numbered from 0, with files of its own (prometheus_client's multiprocess mode). A place is
held by a lock that the kernel lets go with its process; whoever comes next takes the first that is free, and counts on
from where its last holder stopped. So counters outlive their processes, however those end, and there are never more
files than there were processes at once. Gauges of the living (`live…`) go with whoever set them.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from worker import telemetry
from worker.telemetry import Log

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where `MultiProcessValue` looks for it
_MOST = 10_000  # places
_HEAD = 8  # bytes
_DENIED_SECONDS = 60.0
_DAMAGED = (OSError, RuntimeError, ValueError, struct.error)  # what reading such a file raises
# Bytes, made in full beforehand: the kernel kills whoever writes into a hole of a mapped file on a full disk. A service
# takes 2 KiB of counters, a route and method 5 KiB of histograms.
_RESERVED = {"counter": 1024 * 1024, "histogram": 1024 * 1024, "gauge_max": 4096, "gauge_livemax": 4096}


class Places:
    """Of one folder, as one process and those that are forked from it see them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._holder, self._number, self._lock = 0, -1, -1
        self._denied_until = 0.0  # monotonic
        self._turn = threading.Lock()  # locks on files are the process's: its threads would share them

    def mine(self) -> str:
        """This process' place; another one after a fork. Raises `OSError` where there is no room for it: then it is
        looked for again a minute later."""
        if os.getpid() != self._holder:
            if time.monotonic() < self._denied_until:
                raise OSError("there was no place a moment ago")
            try:
                self._change()
            except OSError as fault:
                self._denied_until = time.monotonic() + _DENIED_SECONDS
                telemetry.warn(Log.NOT_MEASURED, error=str(fault))
                raise
        return str(self._number)

    def _change(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)  # our parent's, who holds on to it
            self._lock = -1
        self.folder.mkdir(mode=0o770, parents=True, exist_ok=True)
        self._number, self._lock = self._taken()
        self._holder = os.getpid()

    def bury(self) -> None:
        """Remove the gauges of the dead."""
        with self._turn:
            for path in self.folder.glob("*.lock"):
                if path.stem == str(self._number) and self._holder == os.getpid():
                    continue  # to close any descriptor of a file lets go all locks on it: fcntl(2)
                with suppress(OSError):
                    lock = _locked(path)
                    self._clear(path.stem)
                    os.close(lock)

    def _taken(self) -> tuple[int, int]:
        """The first free number, and the lock on it."""
        for number in range(_MOST):
            try:
                lock = _locked(self.folder / f"{number}.lock")
            except (BlockingIOError, PermissionError):  # somebody's who lives, or of another account
                continue
            try:
                self._clear(str(number))
                self._reserve(str(number))
            except OSError:
                os.close(lock)
                raise
            return number, lock
        raise OSError(f"all {_MOST} places in {self.folder} are taken")

    def _clear(self, number: str) -> None:
        for path in self.folder.glob(f"gauge_live*_{number}.db"):
            path.unlink(missing_ok=True)

    def _reserve(self, number: str) -> None:
        for kind, size in _RESERVED.items():
            path = self.folder / f"{kind}_{number}.db"
            if path.exists() and not _is_whole(path):
                path.unlink()  # its machine was switched off, say
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            try:
                os.posix_fallocate(file, 0, size)
            finally:
                os.close(file)


_places: Places | None = None


def share(folder: Path | None) -> None:
    """Keep what this process, and those forked from it, count in `folder`; None: in the process itself.

    To be called before anything is counted. Where the folder cannot be used, it is said in the log.
    """
    global _places  # one registry is all a process has, in prometheus_client as well
    if folder is None or (_places and _places.folder == folder):
        return
    places = Places(folder)
    os.environ[_FOLDER] = str(folder)
    with suppress(OSError):
        values.ValueClass = values.MultiProcessValue(places.mine)
        _places = places


def shared() -> Places | None:
    """Where this process shares what it counts."""
    return _places


class Shared:
    """A collector: what all processes that use a folder have counted."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def collect(self) -> Iterable[Metric]:
        self._places.bury()
        files = sorted(self._places.folder.glob("*.db"))
        try:
            return _merged(files)
        except _DAMAGED:
            return _merged([path for path in files if _is_whole(path)])


def _merged(files: list[Path]) -> Iterable[Metric]:
    merged: Iterable[Metric] = MultiProcessCollector.merge([str(path) for path in files])
    return merged


def _is_whole(path: Path) -> bool:
    """Can it be read, and written on? It begins with how much of it is used: not at all, or all of its own head."""
    try:
        with path.open("rb") as file:
            used = struct.unpack("i", file.read(4))[0]
        if used != 0 and not _HEAD <= used <= path.stat().st_size:
            return False
        for _ in MmapedDict.read_all_values_from_file(str(path)):
            pass
    except _DAMAGED:
        return False
    return True


def _locked(path: Path) -> int:
    """The file, locked for this process alone: a lock of its children would be theirs. Raises `OSError`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file
