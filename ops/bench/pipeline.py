"""Files per second from upload to outcome, beside what the bare calls do with files of the same kind."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from ops.bench.corpus import File
from ops.bench.crew import Crew
from ops.bench.factory import Factory
from ops.bench.installation import Installation
from ops.bench.row import Better, Row

CLIENTS = 8
# Name, files of a round, and the ratio that is wanted.
CORPORA = {
    "text": ("2 KB text", 120, 0.5),
    "pdf": ("20 KB PDF", 120, 0.5),
    "jpeg": ("200 KB JPEG", 60, 0.85),
    "zip": ("5 MB zip", 6, 0.85),
    "mix": ("a realistic mix", 100, 0.5),
}
Costs = dict[str, float]  # processor milliseconds a file, by kind of process


class Measured(NamedTuple):
    """One round, ours or the floor's."""

    rate: float  # files per second
    costs: Costs

    @property
    def cost(self) -> float:
        """Processor milliseconds that a file takes of us and our servers."""
        return sum(each for kind, each in self.costs.items() if kind != "client")


@dataclass(frozen=True)
class Rounds:
    """What was measured of one corpus, in turns."""

    ours: list[Measured] = field(default_factory=list)
    floor: list[Measured] = field(default_factory=list)

    def row(self, name: str, target: float | None) -> Row:
        """Medians."""
        ours, floor = (statistics.median(each.rate for each in side) for side in (self.ours, self.floor))
        return Row(name, ours, "files/s", floor, Better.HIGHER, target)

    def costs(self) -> Mapping[str, Costs]:
        """The profile: medians of both sides."""
        return {"ours": _medians(self.ours), "floor": _medians(self.floor)}


class Pipeline:
    """Measures one corpus after the other."""

    def __init__(self, site: Installation, crew: Crew, factory: Factory) -> None:
        self._site, self._crew, self._factory = site, crew, factory

    def rows(self, rounds: int, share: float = 1.0) -> Iterator[tuple[Row, Mapping[str, Costs]]]:
        """A row and a profile for each; `share` of the usual number of files."""
        for corpus, (title, number, target) in CORPORA.items():
            count = max(2, round(number * share))
            measured = self.rounds(corpus, count, rounds)
            yield measured.row(f"pipeline: {title}", target), measured.costs()

    def rounds(self, corpus: str, count: int, number: int) -> Rounds:
        """Ours and the floor in turns, after one turn that warms both up."""
        measured = Rounds()
        for at in range(number + 1):
            ours, floor = self._factory.make(corpus, count), self._factory.make(corpus, count)
            pair = through(self._site, ours), self._floor(floor)
            if at:
                measured.ours.append(pair[0])
                measured.floor.append(pair[1])
        return measured

    def _floor(self, files: list[File]) -> Measured:
        before = self._site.processes.seconds()
        seconds, _, spent = self._crew.run(files)
        costs = self._site.processes.seconds() - before + Counter({"calls": spent})
        return Measured(len(files) / seconds, _each(costs, len(files)))


def through(site: Installation, files: list[File]) -> Measured:
    """All files from their upload to their outcome. Raises `RuntimeError` where one is not found clean."""
    with measuring(site, len(files)) as measured:
        site.wait_for(site.clients(CLIENTS).put(files))
    return measured()


@contextmanager
def measuring(site: Installation, number: int) -> Iterator[Callable[[], Measured]]:
    """What the block costs for each of so many files; to be asked afterwards."""
    before, spent, begun = site.processes.seconds(), time.process_time(), time.monotonic()
    measured: list[Measured] = []
    yield measured.pop
    seconds = time.monotonic() - begun
    costs = site.processes.seconds() - before + Counter({"client": time.process_time() - spent})
    measured.append(Measured(number / seconds, _each(costs, number)))


def _each(costs: Mapping[str, float], number: int) -> Costs:
    return {kind: seconds * 1000 / number for kind, seconds in costs.items()}


def _medians(side: list[Measured]) -> Costs:
    kinds = dict.fromkeys(kind for each in side for kind in each.costs)
    return {kind: statistics.median(each.costs.get(kind, 0.0) for each in side) for kind in kinds}
