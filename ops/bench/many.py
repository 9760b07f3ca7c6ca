"""How long requests wait for the store where it holds millions of scans: `python -m ops.bench.many`.

On SQLite and on a PostgreSQL of its own, as it comes. What was loaded stays in the home, and is measured again by the
next run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from ops.bench.filled import KINDS, filled
from ops.bench.pages import asked
from ops.bench.questions import Sample, questions
from worker import clock
from worker.store.database import Database
from worker.store.tables import scans

_TARGET = 100  # milliseconds, at the 95th percentile
_TURNS = 60


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scans", type=int, default=5_000_000, help="how many to invent, where there are none yet")
    options.add_argument("--home", type=Path, default=Path("var/many"), help="where the databases are")
    options.add_argument("--only", choices=KINDS, help="on this database alone")
    wanted = options.parse_args()
    for kind in (wanted.only,) if wanted.only else KINDS:
        with (
            filled(kind, wanted.home, wanted.scans) as place,
            closing(Database(place.url, timeout=None)) as database,
        ):
            _show(kind, measured(database))


def measured(database: Database) -> Iterator[tuple[str, float, float, float]]:
    """Median, 95th percentile and longest of each question and page, in milliseconds; the first turn warms up."""
    with database.read() as connection:
        end = clock.moment_of(connection.execute(select(func.max(scans.c.id))).scalar_one()) + timedelta(hours=1)
    sample = Sample.of(database, end)
    for name, question in questions():
        yield name, *_timed(partial(question, database, sample))
    with asked(database, sample) as pages:
        for name, ask in pages.items():
            yield name, *_timed(ask)


def _timed(ask: Callable[[int], object]) -> tuple[float, float, float]:
    taken = sorted(_milliseconds(ask, turn) for turn in range(_TURNS + 1))
    return taken[_TURNS // 2], taken[int(_TURNS * 0.95)], taken[-1]


def _milliseconds(ask: Callable[[int], object], turn: int) -> float:
    begun = time.perf_counter()
    ask(turn)
    return (time.perf_counter() - begun) * 1000


def _show(kind: str, figures: Iterator[tuple[str, float, float, float]]) -> None:
    table = Table(kind, box=None, pad_edge=False)
    for heading in ("p50 ms", "p95 ms", "longest", f"< {_TARGET}"):
        table.add_column(heading, justify="right")
    for name, *milliseconds in figures:
        table.add_row(name, *(f"{each:.1f}" for each in milliseconds), "yes" if milliseconds[1] < _TARGET else "NO")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
