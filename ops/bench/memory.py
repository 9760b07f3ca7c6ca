"""`make bench-memory`: does the memory of a worker and of its fork server stay flat over 10,000 images?

They go through a worker's inspection. Another process has made them beforehand, so that this one holds nothing but
what a worker holds. Exits with 1 where anything grew too much, or an image was not clean.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.bench.inspection import Inspection, fork_server, inspecting
from worker.scan import Status

_IMAGES = 10_000
_DIFFERENT = 240  # of them; each format in three sizes, in ten variants
_SIZES = ((160, 120), (64, 48), (320, 240))
_EACH = 50  # images between two samples
_MARGIN = 16  # MiB that a process may have grown


class Process:
    """What one process takes up, sample by sample."""

    def __init__(self, name: str, pid: int) -> None:
        self.name, self._folder = name, Path(f"/proc/{pid}")
        self.memory: list[float] = []  # MiB resident
        self.descriptors: list[float] = []

    def sample(self) -> None:
        """Look once. Raises `OSError` where it has ended."""
        lines = (self._folder / "status").read_text().splitlines()
        self.memory += (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
        self.descriptors.append(len(list((self._folder / "fd").iterdir())))

    @property
    def growth(self) -> float:
        """MiB, from the first tenth of the samples to the last."""
        return last_tenth(self.memory) - first_tenth(self.memory)


def first_tenth(samples: Sequence[float]) -> float:
    """Its median."""
    return statistics.median(samples[: max(1, len(samples) // 10)])


def last_tenth(samples: Sequence[float]) -> float:
    """Its median."""
    return statistics.median(samples[-max(1, len(samples) // 10) :])


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m ops.bench.memory")
    options.add_argument("--images", type=int, default=_IMAGES)
    count = options.parse_args().images
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lazaretto-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        files = _made(folder / "images")
        with inspecting(folder) as inspection:
            processes, verdicts = _measured(inspection, islice(cycle(files), count))
    _show(processes)
    print(f"{dict(verdicts)} in {time.monotonic() - begun:.0f} s")
    return int(any(process.growth > _MARGIN for process in processes) or verdicts.keys() != {Status.CLEAN})


def _made(folder: Path) -> list[Path]:
    folder.mkdir()
    maker = multiprocessing.get_context("spawn").Process(target=_make, args=(folder,))
    maker.start()
    maker.join()
    return sorted(folder.iterdir())


def _make(folder: Path) -> None:
    from ops.bench.pictures import MEDIA_TYPES, picture  # a worker holds no decoder

    sizes = cycle(size for size in _SIZES for _ in MEDIA_TYPES)
    for variant, kind, size in zip(range(_DIFFERENT), cycle(MEDIA_TYPES), sizes, strict=False):
        (folder / f"{variant:04}").write_bytes(picture(kind, *size, variant))


def _measured(inspection: Inspection, files: Iterable[Path]) -> tuple[list[Process], Counter[Status]]:
    """The processes with their samples; and how many images had which verdict."""
    processes: list[Process] = []
    verdicts: Counter[Status] = Counter()
    for number, file in enumerate(files):
        verdicts[inspection.verdict(file.read_bytes())] += 1
        processes = processes or [Process("worker", os.getpid()), Process("fork server", fork_server())]
        if number % _EACH == 0:
            for process in processes:
                process.sample()
    return processes, verdicts


def _show(processes: Iterable[Process]) -> None:
    table = Table("process", box=None, pad_edge=False)
    for heading in ("first tenth, MiB", "last tenth, MiB", "growth", "most", "descriptors", "in the end"):
        table.add_column(heading, justify="right")
    for each in processes:
        memory = (first_tenth(each.memory), last_tenth(each.memory), each.growth, max(each.memory))
        files = (first_tenth(each.descriptors), last_tenth(each.descriptors))
        table.add_row(each.name, *(f"{figure:.1f}" for figure in memory), *(f"{figure:g}" for figure in files))
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
