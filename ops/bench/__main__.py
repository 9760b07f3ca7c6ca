"""`make bench`: every benchmark in one run, as a table and as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.bench import installation, intake, latency, peaks, reception, sandbox_cost, waiting
from ops.bench.crew import Crew
from ops.bench.factory import Factory
from ops.bench.pipeline import Costs, Pipeline
from ops.bench.row import Row

_OUT = "var/bench.json"  # LAZARETTO_BENCH_OUT overrides
Profile = dict[str, Mapping[str, Costs]]


@dataclass(frozen=True)
class Effort:
    """How much is measured. The defaults are `make bench`; less proves that it still works, and nothing else."""

    rounds: int = 5
    share: float = 1.0  # of each corpus
    latency_files: int = latency.FILES
    large: int = intake.LARGE
    small: int = intake.SMALL
    waiters: int = waiting.WAITERS
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=lambda: peaks.FILES)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("interrupted"))  # everything is stopped and deleted on the way out
    begun, profile = time.monotonic(), Profile()
    rows = []
    for row in measured(Effort(), profile):
        print(f"{time.monotonic() - begun:4.0f} s  {row.name}", file=sys.stderr, flush=True)
        rows.append(row)
    out = Path(os.environ.get("LAZARETTO_BENCH_OUT") or _OUT)
    write(out, rows, profile)
    show(rows, profile)
    print(f"written to {out} in {time.monotonic() - begun:.0f} s")


def measured(effort: Effort, profile: Profile) -> Iterator[Row]:
    """One row after the other; `profile` gets the costs of the pipeline, by the names of its rows."""
    with Factory.running() as factory:
        yield from _whole(effort, factory, profile)
        with reception.running() as place:
            yield from intake.small(place, factory, effort.rounds, effort.small)
            yield from waiting.rows(place, effort.rounds, effort.waiters)
            yield from intake.large(place, effort.rounds, effort.large)
    yield from sandbox_cost.rows()


def _whole(effort: Effort, factory: Factory, profile: Profile) -> Iterator[Row]:
    """What the whole stack is needed for."""
    with installation.running() as site:
        with Crew.running(site.clamd, site.variables) as crew:
            for row, costs in Pipeline(site, crew, factory).rows(effort.rounds, effort.share):
                profile[row.name] = costs
                yield row
            yield from latency.rows(site, crew, factory, effort.rounds, effort.latency_files)
        yield from peaks.rows(site, effort.sizes)


def write(out: Path, rows: Iterable[Row], profile: Profile) -> None:
    """The rows, and the profile beside them: `bench.json`, `bench-profile.json`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for path, content in ((out, [row.record() for row in rows]), (out.with_stem(f"{out.stem}-profile"), profile)):
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def show(rows: Iterable[Row], profile: Profile) -> None:
    """As tables."""
    table = Table("benchmark", box=None, pad_edge=False)
    for heading in ("value", "floor", "ratio", "target", "met"):
        table.add_column(heading, justify="right")
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "NO"
        figures = (f"{row.value:.4g} {row.unit}", f"{row.floor:.4g}", f"{row.ratio:.2f}")
        table.add_row(row.name, *figures, row.wanted, met)
    console = Console(width=120)
    console.print(table)
    console.print("\nprocessor milliseconds a file, by kind of process:", *_lines(profile), sep="\n", highlight=False)


def _lines(profile: Profile) -> Iterator[str]:
    for name, sides in profile.items():
        for side, costs in sides.items():
            parts = ", ".join(f"{kind} {cost:.1f}" for kind, cost in sorted(costs.items()) if cost >= 0.05)
            yield f"{name}, {side}: {sum(costs.values()):.1f} = {parts}"


if __name__ == "__main__":
    main()
