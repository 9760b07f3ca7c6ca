"""How long one client waits for the outcome of a small file on an idle system, beside the sum of the bare calls."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import closing

from ops.bench.clients import Client
from ops.bench.corpus import File
from ops.bench.crew import Crew
from ops.bench.factory import Factory
from ops.bench.installation import KEY, Installation
from ops.bench.row import Better, Row
from worker.scan import Status

FILES = 100  # of a round, one after the other
_TARGETS = {0.5: 2.5, 0.99: 6.0}  # of each percentile: times the sum of the calls


def rows(site: Installation, crew: Crew, factory: Factory, rounds: int, files: int = FILES) -> Iterator[Row]:
    """Medians of each round's percentiles, in milliseconds: ours and the floor in turns, after one that warms up."""
    ours, floor = [], []
    for at in range(rounds + 1):
        pair = timed(site, factory.make("pdf", files)), crew.run(factory.make("pdf", files), alone=True).each
        if at:
            ours.append(pair[0])
            floor.append(pair[1])
    for part, target in _TARGETS.items():
        value, least = (statistics.median(percentile(each, part) * 1000 for each in side) for side in (ours, floor))
        yield Row(f"latency: 20 KB PDF, p{part * 100:g}", value, "ms", least, Better.LOWER, target)


def percentile(seconds: list[float], part: float) -> float:
    """The nearest rank."""
    return sorted(seconds)[math.ceil(len(seconds) * part) - 1]


def timed(site: Installation, files: list[File]) -> list[float]:
    """Seconds for each, one after the other."""
    with closing(Client(site.url, KEY)) as client:
        return [_seconds(client, file) for file in files]


def _seconds(client: Client, file: File) -> float:
    """From the POST to the answer of `?wait`. Raises `RuntimeError` where the file is not found clean."""
    begun = time.perf_counter()
    outcome = client.outcome(file)
    taken = time.perf_counter() - begun
    if outcome != Status.CLEAN:
        raise RuntimeError(f"{file.name} is {outcome}, expected {Status.CLEAN}")
    return taken
