"""`make soak`: 70 % of what the stack can do, for an hour. Does anything grow that should not?

Exits with 1 where something did, or a file did not end as it should.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.bench import installation
from ops.bench.arrivals import arrivals
from ops.bench.factory import Factory
from ops.bench.installation import KEY
from ops.bench.latency import percentile
from ops.bench.report import end_on_signals, write
from ops.bench.samples import Gauge, Sample
from ops.bench.traffic import Traffic

SECONDS = 3600.0
_OUT = Path("var/soak.json")
_PEAK_SECONDS, _PEAK_CLIENTS = 40.0, 16
_PART = 0.7  # of the peak
_EVERY = 10.0  # seconds between two samples
_SIXTHS = 6


@dataclass(frozen=True)
class Allowed:
    """How much more the last sixth may show than the first: times, and on top of that."""

    times: float
    more: float

    def met(self, first: float, last: float) -> bool:
        return last <= first * self.times + self.more


# By the beginning of a name; what is not here is shown, and may be what it likes: the store's own memory, say.
_ALLOWED = {
    "memory of clamd": None,
    "memory of store": None,
    "memory of ": Allowed(1.05, 16),
    "Redis": Allowed(1.05, 8),
    "open files of store": None,
    "open files of ": Allowed(1.05, 8),
    "database connections": Allowed(1, 4),
    "scratch": Allowed(1, 32),
    "waiting in line": Allowed(1, 20),
    "latency p50": Allowed(1.25, 5),
    "latency p99": Allowed(1.5, 50),
}


@dataclass
class Soak:
    """What came of it."""

    peak: float  # files per second
    samples: list[Sample] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[str, float, float, bool | None]]:
        """Of each figure the medians of the first and the last sixth, and whether that will do."""
        part = max(1, len(self.samples) // _SIXTHS)
        for name in sorted({name for sample in self.samples for name in sample}):
            first, last = (_median(side, name) for side in (self.samples[:part], self.samples[-part:]))
            allowed = next((each for start, each in _ALLOWED.items() if name.startswith(start)), None)
            yield name, first, last, allowed.met(first, last) if allowed else None


def main() -> int:
    end_on_signals()
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    soak = soaked(seconds)
    write(_OUT, {"seconds": seconds, "peak": soak.peak, "samples": soak.samples, "faults": soak.faults})
    return int(not show(soak))


def soaked(seconds: float, *, peak_seconds: float = _PEAK_SECONDS, every: float = _EVERY) -> Soak:
    """A stack of its own, first at its peak, then at 70 % of it."""
    with ExitStack() as stack:
        factory = stack.enter_context(Factory.running())
        folder = stack.enter_context(installation.folder())
        (folder / "scratch").mkdir()
        site = stack.enter_context(installation.running(scratch_dir=str(folder / "scratch")))
        gauge = stack.enter_context(closing(Gauge(site, folder / "scratch")))
        files = arrivals(factory)
        rush = Traffic(site.url, KEY, files, clients=_PEAK_CLIENTS)
        with rush.going():
            time.sleep(peak_seconds)
        soak = Soak(_rate(rush, peak_seconds), faults=rush.faults)
        print(f"peak {soak.peak:.1f} files/s; {_PART * soak.peak:.1f} files/s for {seconds:g} s", flush=True)
        steady = Traffic(site.url, KEY, files, every=1 / (_PART * soak.peak))
        with steady.going():
            soak.samples += _taken(gauge, steady, seconds, every)
        soak.faults += steady.faults
        return soak


def _rate(traffic: Traffic, seconds: float) -> float:
    """Of the second half; the first one warms up."""
    ends = [each.at for each in traffic.served()]
    return sum(1 for at in ends if at > ends[-1] - seconds / 2) / (seconds / 2)


def _taken(gauge: Gauge, traffic: Traffic, seconds: float, every: float) -> Iterator[Sample]:
    begun = time.monotonic()
    for number in range(1, int(seconds / every) + 1):
        time.sleep(max(0.0, begun + number * every - time.monotonic()))
        sample, served = gauge.sample(), [each.seconds for each in traffic.served()]
        if served:
            sample |= {f"latency p{part * 100:g}, ms": percentile(served, part) * 1000 for part in (0.5, 0.99)}
        yield sample | {"files/s": len(served) / every}


def _median(samples: list[Sample], name: str) -> float:
    return statistics.median([sample[name] for sample in samples if name in sample] or [0.0])


def show(soak: Soak) -> bool:
    """The table and the verdict; did nothing grow?"""
    table = Table("over the run", box=None, pad_edge=False)
    for heading in ("first sixth", "last sixth", "flat"):
        table.add_column(heading, justify="right")
    lines = list(soak.lines())
    for name, first, last, flat in lines:
        table.add_row(name, f"{first:.1f}", f"{last:.1f}", "" if flat is None else "yes" if flat else "NO")
    Console(width=120).print(table)
    for fault in soak.faults[:20]:
        print(fault)
    grown = [name for name, *_, flat in lines if flat is False]
    print(f"{len(soak.faults)} files did not end as they should; grown: {', '.join(grown) or 'nothing'}")
    return not grown and not soak.faults


if __name__ == "__main__":
    sys.exit(main())
