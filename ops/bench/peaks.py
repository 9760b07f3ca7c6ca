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
    ("sandbox", True): "sandbox",
    ("sweeper", True): "sweeper",
}
_CHILDREN = "sandbox, children"
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

    Those that stay are asked for the kernel's own peak, which misses nothing. The children of a sandbox come and go:
    they are looked at again and again, for what they hold beyond what they were born with.
    """
    grown: dict[str, int] = {}
    members = list(site.processes.members())
    watched, over = [_reset(member) for member in members if _name(member)], threading.Event()
    sandboxes, most = [member.process.pid for member in members if member.kind == "sandbox" and member.leads], [0]
    looking = threading.Thread(target=_look, args=(sandboxes, over, most))
    looking.start()
    try:
        yield grown
    finally:
        over.set()
        looking.join()
    for name, process, rss in watched:
        grown[name] = max(grown.get(name, 0), peak_memory(process.pid) - rss)
    grown[_CHILDREN] = most[0]


def _name(member: Member) -> str | None:
    return _NAMES.get((member.kind, member.leads))


def _reset(member: Member) -> _Watched:
    return _Watched(_name(member) or "", member.process, reset_peak(member.process.pid))


def _look(sandboxes: list[int], over: threading.Event, most: list[int]) -> None:
    while not over.wait(_EVERY):
        most[0] = max((most[0], *map(_beyond, sandboxes)))


def _beyond(sandbox: int) -> int:
    """Bytes that the children of one hold together beyond what each has from its parent."""
    with suppress(OSError):
        born_with = _held(sandbox)
        children = Path(f"/proc/{sandbox}/task/{sandbox}/children").read_text().split()
        return sum(max(_held(int(each)) - born_with, 0) for each in children)
    return 0  # one of them has just ended


def _held(pid: int) -> int:
    """Bytes of memory that is no file's; of what is mapped from files, nothing is anybody's own."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))) * 1024


def _write(path: Path, size: int, number: int) -> None:
    """Sound, of which clamd looks at every byte, and knows no format."""
    head = _WAV % ((size - 8).to_bytes(4, "little"), (size - 44).to_bytes(4, "little"))
    block = os.urandom(MIB)
    with path.open("wb") as file:
        file.write(head + number.to_bytes(4, "little"))
        for at in range(file.tell(), size, MIB):
            file.write(block[: size - at])
