"""Databases that hold so many scans that never were, made with the first use and kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from sqlalchemy import select

from ops.bench.invented import DAYS, Invention
from ops.bench.load import fill
from ops.bench.questions import KEY
from ops.embedded import postgres_server
from ops.embedded.accounts import confined
from ops.embedded.ports import choose
from ops.embedded.postgres_server import Postgres
from ops.embedded.supervisor import Supervisor
from worker import clock, migrations, services
from worker.rollup import RollUps
from worker.store.database import Database
from worker.store.tables import scans

KINDS = ("sqlite", "postgresql")


class Filled(NamedTuple):
    """Where the database is, and the process of its server, where it has one."""

    url: str
    servers: tuple[int, ...]


@contextmanager
def filled(kind: str, home: Path, number: int) -> Iterator[Filled]:
    """A database of a kind in `home`, with `number` scans unless it holds any; PostgreSQL runs inside the block."""
    home.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        yield _ensured(Filled(f"sqlite:///{home.resolve() / 'lazaretto.db'}", ()), number)
        return
    account = confined(postgres_server.ACCOUNT)
    server = Postgres(home.resolve() / kind, choose([kind])[kind], account)
    with Supervisor(home / "logs", say=print) as supervisor:
        supervisor.start(server)
        yield _ensured(Filled(server.url, (supervisor.pid(server.name) or 0,)), number)


def _ensured(place: Filled, number: int) -> Filled:
    with closing(Database(place.url, timeout=None)) as database:
        migrations.upgrade(database)
        with database.read() as connection:
            empty = connection.execute(select(scans.c.id).limit(1)).first() is None
        if empty and number:
            _fill(database, number)
    return place


def _fill(database: Database, number: int) -> None:
    begun, console = time.monotonic(), Console(stderr=True)
    services.ensure_bootstrap_key(database, KEY)
    with console.status("inventing") as status:
        fill(database, Invention(number, clock.now()), status.update)
        for at, last in RollUps(database).repair(clock.now() - timedelta(days=DAYS + 1)):
            status.update(f"counting {at:%Y-%m-%d %H:00} of {last:%Y-%m-%d %H:00}")
        keeper = RollUps(database)
        while keeper.keep():
            status.update("counting for good")
    print(f"{number:,} scans in {time.monotonic() - begun:.0f} s")
