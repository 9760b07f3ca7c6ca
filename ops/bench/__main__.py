"""`make bench`: every benchmark in one run, as a table and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.bench import sandbox_cost, waiting
from ops.bench.row import Row

_MATTERS: tuple[Callable[[], Iterable[Row]], ...] = (sandbox_cost.rows, waiting.rows)
_OUT = "var/bench.json"  # LAZARETTO_BENCH_OUT overrides


def main() -> None:
    rows = [row for matter in _MATTERS for row in matter()]
    out = Path(os.environ.get("LAZARETTO_BENCH_OUT") or _OUT)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([row.record() for row in rows], indent=2, ensure_ascii=False) + "\n")
    _show(rows)
    print(f"written to {out}")


def _show(rows: Iterable[Row]) -> None:
    table = Table("benchmark", box=None, pad_edge=False)
    for heading in ("value", "target", "floor", "ratio", "met"):
        table.add_column(heading, justify="right")
    for row in rows:
        figures = (f"{row.value:.2f} {row.unit}", f"< {row.target:g}", f"{row.floor:.2f}", f"{row.ratio:.2f}")
        table.add_row(row.name, *figures, "yes" if row.met else "no")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
