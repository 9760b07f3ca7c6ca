"""How much memory each process takes at most for a file, beside boto3's own upload and download of that file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from ops.bench.bare_boto import BareBoto, peak_memory, reset_peak
from ops.bench.installation import Installation
from ops.bench.processes import Member
from ops.bench.row import Better, Row
from worker.settings import MIB

FILES = {"1 MB": (10**6, 5), "100 MB": (10**8, 3), "2 GB": (2 * 10**9, 1)}  # bytes, and how many one after the other
_TARGET = 64  # MiB
_EVERY = 0.02  # seconds between two looks at processes that come and go
_NAMES = {  # of the kind, and whether it is the first of it
    ("api", True): "API",
    ("worker", True): "worker, main",
    ("worker", False): "worker, pool",
    ("slow worker", True): "worker, main",
    ("slow worker", False): "worker, pool",
    ("sweeper", True): "sweeper",
}
_SANDBOX = "sandbox with its children"
_WAV = b"RIFF%b\x57\x41\x56\x45fmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0data%b"  # 16 bit, stereo


class _Watched(NamedTuple):
    name: str
    process: psutil.Process
    before: int  # bytes resident


def rows(site: Installation, sizes: Mapping[str, tuple[int, int]] = FILES) -> Iterator[Row]:
    """Of each size and process, the most by which it grew over what it held before, in MiB."""
    for at, (title, (size, count)) in enumerate(sizes.items()):
        path = site.folder / f"{at}.wav"
        with peaks(site) as grown:
            for number in range(count):
                _write(path, size, number)
                site.wait_for([site.clients(1).put_large(path)])
        with BareBoto.running(
            site.variables, site.variables["LAZARETTO_QUARANTINE_BUCKET"], int(site.variables["LAZARETTO_PART_SIZE"])
        ) as bare:
            floor = bare.growth(path)
        path.unlink()
        for name, most in sorted(grown.items()):
            yield Row(f"memory: {name}, {title}", most / MIB, "MiB", floor / MIB, Better.LOWER, _TARGET, absolute=True)


@contextmanager
def peaks(site: Installation) -> Iterator[dict[str, int]]:
    """Filled at the end of the block: bytes by which the processes of each name grew at most.

    Those that stay are asked for the kernel's own peak, which misses nothing. Of a sandbox, whose children come and
    go, and share most pages with it, the proportional sizes are summed, again and again.
    """
    grown: dict[str, int] = {}
    watched, over = [_reset(member) for member in site.processes.members() if _name(member)], threading.Event()
    sandboxes = [member.process for member in site.processes.members() if member.kind == "sandbox" and member.leads]
    before, most = _together(sandboxes), [0]
    looking = threading.Thread(target=_look, args=(sandboxes, over, most))
    looking.start()
    try:
        yield grown
    finally:
        over.set()
        looking.join()
    for name, process, rss in watched:
        grown[name] = max(grown.get(name, 0), peak_memory(process.pid) - rss)
    grown[_SANDBOX] = max(most[0] - before, 0)


def _name(member: Member) -> str | None:
    return _NAMES.get((member.kind, member.leads))


def _reset(member: Member) -> _Watched:
    return _Watched(_name(member) or "", member.process, reset_peak(member.process.pid))


def _look(sandboxes: list[psutil.Process], over: threading.Event, most: list[int]) -> None:
    while not over.wait(_EVERY):
        most[0] = max(most[0], _together(sandboxes))


def _together(sandboxes: list[psutil.Process]) -> int:
    """The largest one with its children, in bytes."""
    return max((sum(_share(each) for each in (one, *one.children())) for one in sandboxes), default=0)


def _share(process: psutil.Process) -> int:
    with suppress(psutil.Error, OSError):
        return int(process.memory_full_info().pss)
    return 0


def _write(path: Path, size: int, number: int) -> None:
    """Sound, of which clamd looks at every byte, and knows no format."""
    head = _WAV % ((size - 8).to_bytes(4, "little"), (size - 44).to_bytes(4, "little"))
    block = os.urandom(MIB)
    with path.open("wb") as file:
        file.write(head + number.to_bytes(4, "little"))
        for at in range(file.tell(), size, MIB):
            file.write(block[: size - at])
