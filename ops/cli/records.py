"""The installation's database, for the commands that work on it themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from worker import migrations
from worker.errors import Permanent
from worker.settings import load
from worker.store.database import Database


@contextmanager
def database() -> Iterator[Database]:
    """Raises `Permanent` where it is not up to date."""
    with closing(Database(load().database_url.get_secret_value())) as opened:
        if migrations.pending(opened):
            raise Permanent(
                f"the database {opened.engine.url} is not up to date",
                expected="LAZARETTO_DATABASE_URL of an installation, after `lazaretto migrate`",
            )
        yield opened
