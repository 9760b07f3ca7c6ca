"""What the kernel knows about processes, from /proc."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)
_STATE, _PARENT, _STARTED = 0, 1, 19  # what comes after the name in /proc/*/stat; see proc_pid_stat(5)


def alive(pid: int) -> bool:
    """Does it run? A zombie does not."""
    return _stat(pid, _STATE) not in {"", "Z", "X"}


@contextmanager
def standing_still(pids: Collection[int]) -> Iterator[None]:
    """They are stopped, and go on after the block as if no time had passed."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def family(ancestor: int) -> frozenset[int]:
    """A process and all its descendants, without zombies."""
    parents = {pid: parent(pid) for pid in _all() if alive(pid)}
    members = {ancestor} & parents.keys()
    while new := {pid for pid, starter in parents.items() if starter in members} - members:
        members |= new
    return frozenset(members)


def parent(pid: int) -> int:
    """The process that started it; 0 where it has ended."""
    return int(_stat(pid, _PARENT) or 0)


def command(pid: int) -> str:
    """Its command line, or nothing where it has ended."""
    with suppress(*_GONE):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def oldest(pids: Collection[int]) -> int:
    """Which was started first. Their numbers do not tell: the kernel counts to `pid_max`, and begins again."""
    return min(pids, key=lambda pid: float(_stat(pid, _STARTED) or "inf"))


def peak_memory(pid: int) -> int:
    """The most memory, in bytes, that was ever resident; 0 where it has ended."""
    return _memory(pid, "VmHWM:")


def memory(pid: int) -> int:
    """Bytes that are resident now; 0 where it has ended."""
    return _memory(pid, "VmRSS:")


def descriptors(pid: int) -> list[str]:
    """What it has open, by the kernel's names for it."""
    links = []
    with suppress(*_GONE):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(*_GONE):
                links.append(str(each.readlink()))
    return links


def open_files(folder: Path) -> list[str]:
    """What any process has open in a folder, files without a name included."""
    links: list[Path] = []
    for pid in _all():
        with suppress(*_GONE, PermissionError):
            links += [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
    return [str(link) for link in links if folder in link.parents]


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _memory(pid: int, name: str) -> int:
    with suppress(*_GONE):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def _stat(pid: int, field: int) -> str:
    """A field, empty where there is no such process."""
    with suppress(*_GONE):
        text = Path(f"/proc/{pid}/stat").read_text()
        return text.rpartition(")")[2].split()[field]  # the name in front may contain anything
    return ""
