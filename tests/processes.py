"""What the kernel knows about processes, from /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)


def alive(pid: int) -> bool:
    """Does it run? A zombie does not."""
    return _stat(pid)[0] not in {"", "Z", "X"}


def family(ancestor: int) -> frozenset[int]:
    """A process and all its descendants, without zombies."""
    parents = {pid: int(_stat(pid)[1] or 0) for pid in _all() if alive(pid)}
    members = {ancestor} & parents.keys()
    while new := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= new
    return frozenset(members)


def command(pid: int) -> str:
    """Its command line, or nothing where it has ended."""
    with suppress(*_GONE):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def peak_memory(pid: int) -> int:
    """The most memory, in bytes, that was ever resident; 0 where it has ended."""
    with suppress(*_GONE):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def open_files(folder: Path) -> list[str]:
    """What any process has open in a folder, files without a name included."""
    links: list[Path] = []
    for pid in _all():
        with suppress(*_GONE, PermissionError):
            links += [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
    return [str(link) for link in links if folder in link.parents]


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _stat(pid: int) -> tuple[str, str]:
    """State and parent, both empty where there is no such process."""
    with suppress(*_GONE):
        text = Path(f"/proc/{pid}/stat").read_text()
        state, parent = text.rpartition(")")[2].split()[:2]  # the name in front may contain anything
        return state, parent
    return "", ""
