"""`make bench`: every benchmark in one run, as a table and as JSON."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops.bench import images, installation, intake, lanes, latency, peaks, reception, sandbox_cost, waiting
from ops.bench.crew import Crew
from ops.bench.factory import Factory
from ops.bench.pipeline import Pipeline
from ops.bench.report import Profile, end_on_signals, show, show_profile, write
from ops.bench.row import Row

_OUT = "var/bench.json"  # LAZARETTO_BENCH_OUT overrides


@dataclass(frozen=True)
class Effort:
    """How much is measured. The defaults are `make bench`; less proves that it still works, and nothing else."""

    rounds: int = 5
    share: float = 1.0  # of the usual number of files, or repetitions
    latency_files: int = latency.FILES
    archives: int = lanes.ARCHIVES
    rescans: int = lanes.RESCANS
    large: int = intake.LARGE
    small: int = intake.SMALL
    waiters: int = waiting.WAITERS
    pictures: tuple[tuple[int, int], ...] = images.SIZES
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=lambda: peaks.FILES)


def main() -> None:
    end_on_signals()
    begun, profile = time.monotonic(), Profile()
    rows = []
    for row in measured(Effort(), profile):
        print(f"{time.monotonic() - begun:4.0f} s  {row.name}", file=sys.stderr, flush=True)
        rows.append(row)
    out = Path(os.environ.get("LAZARETTO_BENCH_OUT") or _OUT)
    write(out, [row.record() for row in rows])
    write(out.with_stem(f"{out.stem}-profile"), profile)
    show(rows)
    show_profile(profile)
    print(f"written to {out} in {time.monotonic() - begun:.0f} s")


def measured(effort: Effort, profile: Profile) -> Iterator[Row]:
    """One row after the other; `profile` gets the costs of the pipeline, by the names of its rows."""
    with Factory.running() as factory:
        yield from _whole(effort, factory, profile)
        with reception.running() as place:
            yield from intake.small(place, factory, effort.rounds, effort.small)
            yield from waiting.rows(place, effort.rounds, effort.waiters)
            yield from intake.large(place, effort.rounds, effort.large)
        yield from _lanes(effort, factory)
    yield from images.rows(effort.rounds, effort.pictures)
    yield from sandbox_cost.rows(effort.share)


def _whole(effort: Effort, factory: Factory, profile: Profile) -> Iterator[Row]:
    """What the whole stack is needed for."""
    with installation.running() as site:
        with Crew.running(site.clamd, site.variables) as crew:
            for row, costs in Pipeline(site, crew, factory).rows(effort.rounds, effort.share):
                profile[row.name] = costs
                yield row
            yield from latency.rows(site, crew, factory, effort.rounds, effort.latency_files)
        yield from peaks.rows(site, effort.sizes)


def _lanes(effort: Effort, factory: Factory) -> Iterator[Row]:
    """A stack of its own: when it is stopped, most of what was put in line still waits."""
    with installation.running() as site:
        counts = {"archives": effort.archives, "rescans": effort.rescans, "files": effort.latency_files}
        yield from lanes.rows(site, factory, **counts)


if __name__ == "__main__":
    main()
