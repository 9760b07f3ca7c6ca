"""What was measured, as a table and as JSON; and how a run ends that is not to go on."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.bench.pipeline import Costs
from ops.bench.row import Row

Profile = dict[str, Mapping[str, Costs]]  # by the name of a row: of both sides, processor milliseconds a file


def end_on_signals() -> None:
    """However we are asked to end, everything is stopped and deleted on the way out; whoever asks twice waits, too."""

    def end(*_: object) -> None:
        for number in asked:
            signal.signal(number, signal.SIG_IGN)
        sys.exit("interrupted; stopping everything")

    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in asked:
        signal.signal(number, end)


def write(path: Path, content: object) -> None:
    """As JSON; the folder is made if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def show(rows: Iterable[Row]) -> None:
    """A line for each."""
    table = Table("benchmark", box=None, pad_edge=False)
    for heading in ("value", "floor", "ratio", "target", "met"):
        table.add_column(heading, justify="right")
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "NO"
        figures = (f"{row.value:.4g} {row.unit}", f"{row.floor:.4g}", f"{row.ratio:.2f}")
        table.add_row(row.name, *figures, row.wanted, met)
    Console(width=120).print(table)


def show_profile(profile: Profile) -> None:
    """Where the time goes."""
    print("\nprocessor milliseconds a file, by kind of process:", *_lines(profile), sep="\n")


def _lines(profile: Profile) -> Iterator[str]:
    for name, sides in profile.items():
        for side, costs in sides.items():
            parts = ", ".join(f"{kind} {cost:.1f}" for kind, cost in sorted(costs.items()) if cost >= 0.05)
            yield f"{name}, {side}: {sum(costs.values()):.1f} = {parts}"
