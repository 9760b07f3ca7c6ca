"""`make bench-growth`: does a file cost the same with more workers, with millions of rows, with a long line?

Each variant runs beside the stack that it is compared with, and both are measured in turns. What was invented for it
stays in the home for the next run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from ops.bench import installation
from ops.bench.corpus import File
from ops.bench.factory import Factory
from ops.bench.filled import KINDS, filled
from ops.bench.installation import Installation
from ops.bench.line import Line
from ops.bench.pipeline import Measured, through
from ops.bench.report import end_on_signals, show, write
from ops.bench.row import Better, Row

_MOST = 1.1  # times what a file costs the stack that it is compared with
_CORPUS = "pdf"
_OUT = Path("var/bench-growth.json")
Turn = Callable[[], Measured]


class Effort(NamedTuple):
    """How much is measured; less proves that it still works, and nothing else."""

    workers: tuple[int, ...] = (1, 2, 4, 8)
    kinds: tuple[str, ...] = KINDS
    scans: tuple[int, ...] = (100_000, 5_000_000)
    queued: int = 100_000
    rounds: int = 7
    files: int = 120  # of each round
    home: Path = Path("var/growth")


def main() -> None:
    end_on_signals()
    options = argparse.ArgumentParser(prog="python -m ops.bench.growth")
    options.add_argument("--home", type=Path, default=Effort().home, help="where the databases are")
    effort, begun, rows = Effort(home=options.parse_args().home), time.monotonic(), []
    for row in measured(effort):
        print(f"{time.monotonic() - begun:5.0f} s  {row.name}", file=sys.stderr, flush=True)
        rows.append(row)
    write(_OUT, [row.record() for row in rows])
    show(rows)
    print(f"written to {_OUT} in {time.monotonic() - begun:.0f} s")


def measured(effort: Effort) -> Iterator[Row]:
    """Two rows for each variant: files per second, and processor milliseconds a file."""
    with Factory.running() as factory:
        growth = _Growth(effort, factory)
        if effort.workers:
            yield from growth.workers()
        for kind in effort.kinds:
            yield from growth.rows(kind)
        yield from growth.line()


class _Growth:
    """One matter after the other."""

    def __init__(self, effort: Effort, factory: Factory) -> None:
        self._effort, self._factory = effort, factory

    def workers(self) -> Iterator[Row]:
        """Two are what there is on two cores; two beside two show what the measurement is worth."""
        with installation.running(workers="2") as usual:
            for number in self._effort.workers:
                with installation.running(workers=str(number)) as other:
                    yield from self._compared(f"{number} worker processes", other, usual)

    def rows(self, kind: str) -> Iterator[Row]:
        with installation.folder() as folder, _on(kind, folder, 0) as empty:
            for number in self._effort.scans:
                with _on(kind, self._effort.home / f"{kind}-{number}", number) as other:
                    yield from self._compared(f"{kind}, {number} rows", other, empty)

    def line(self) -> Iterator[Row]:
        """First all get in line, then the first of them are scanned."""
        rounds, name = self._effort.rounds + 1, f"{self._effort.queued} in line"
        with ExitStack() as stack:
            sites = [stack.enter_context(installation.running(max_waiting="0")) for _ in range(2)]
            other, usual = (stack.enter_context(Line.of(site)) for site in sites)
            for line in (other, usual):
                for _ in range(rounds):
                    line.put(self._files())
            other.lengthen(self._effort.queued)
            yield from self._rows(
                f"{name}, upload", lambda: other.uploaded(self._files()), lambda: usual.uploaded(self._files())
            )
            yield from self._rows(f"{name}, scan", other.scanned, usual.scanned)

    def _compared(self, name: str, other: Installation, usual: Installation) -> Iterator[Row]:
        return self._rows(name, lambda: through(other, self._files()), lambda: through(usual, self._files()))

    def _rows(self, name: str, other: Turn, usual: Turn) -> Iterator[Row]:
        """Medians, in turns after one that warms both up."""
        pairs = [(other(), usual()) for _ in range(self._effort.rounds + 1)][1:]
        rates, costs = (
            [(getattr(one, figure), getattr(two, figure)) for one, two in pairs] for figure in ("rate", "cost")
        )
        yield Row(f"growth: {name}", *_medians(rates, "files/s"), Better.HIGHER)
        yield Row(f"growth: {name}, cost", *_medians(costs, "ms"), Better.LOWER, _MOST)

    def _files(self) -> list[File]:
        return self._factory.make(_CORPUS, self._effort.files)


def _medians(pairs: list[tuple[float, float]], unit: str) -> tuple[float, str, float]:
    other, usual = (statistics.median(side) for side in zip(*pairs, strict=True))
    return other, unit, usual


@contextmanager
def _on(kind: str, home: Path, number: int) -> Iterator[Installation]:
    """A stack on a database of this kind."""
    with filled(kind, home, number) as place, installation.running(*place.servers, database_url=place.url) as site:
        site.wait_until_idle()
        yield site


if __name__ == "__main__":
    main()
