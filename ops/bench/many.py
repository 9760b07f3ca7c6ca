"""How long requests wait for the store where it holds millions of scans: `python -m ops.bench.many`.

On SQLite and on a PostgreSQL of its own, as it comes. What was loaded stays in the home, and is measured again by the
next run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from ops.bench.invented import Invention
from ops.bench.load import fill
from ops.bench.pages import asked
from ops.bench.questions import KEY, Sample, questions
from ops.embedded import postgres_server
from ops.embedded.accounts import confined
from ops.embedded.ports import choose
from ops.embedded.postgres_server import Postgres
from ops.embedded.supervisor import Supervisor
from worker import clock, migrations, services
from worker.rollup import RollUps
from worker.store.database import Database
from worker.store.tables import scans

_TARGET = 100  # milliseconds, at the 95th percentile
_TURNS = 60


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scans", type=int, default=5_000_000, help="how many to invent, where there are none yet")
    options.add_argument("--home", type=Path, default=Path("var/many"), help="where the databases are")
    options.add_argument("--only", choices=("sqlite", "postgresql"), help="on this database alone")
    wanted = options.parse_args()
    for kind in (wanted.only,) if wanted.only else ("sqlite", "postgresql"):
        with _database(kind, wanted.home) as database:
            _ensure_filled(database, wanted.scans)
            _show(kind, measured(database))


@contextmanager
def _database(kind: str, home: Path) -> Iterator[Database]:
    home.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        with closing(Database(f"sqlite:///{home / 'lazaretto.db'}", timeout=None)) as database:
            yield database
        return
    account = confined(postgres_server.ACCOUNT)
    server = Postgres(home.resolve() / "postgresql", choose([kind])[kind], account)
    with Supervisor(home / "logs", say=print) as supervisor:
        supervisor.start(server)
        with closing(Database(server.url, timeout=None)) as database:
            yield database


def _ensure_filled(database: Database, number: int) -> None:
    begun, console = time.monotonic(), Console(stderr=True)
    migrations.upgrade(database)
    with database.read() as connection:
        if connection.execute(select(scans.c.id).limit(1)).first():
            return
    services.ensure_bootstrap_key(database, KEY)
    with console.status("inventing") as status:
        fill(database, Invention(number, clock.now()), status.update)
        for at, last in RollUps(database).repair(clock.now() - timedelta(days=365)):
            status.update(f"counting {at:%Y-%m-%d %H:00} of {last:%Y-%m-%d %H:00}")
        keeper = RollUps(database)
        while keeper.keep():
            status.update("counting for good")
    print(f"{number:,} scans in {time.monotonic() - begun:.0f} s")


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
