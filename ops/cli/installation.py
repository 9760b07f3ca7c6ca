"""Which installation the command-line tool works on: its settings, its database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dotenv import dotenv_values

from worker import migrations
from worker.errors import Permanent
from worker.settings import load
from worker.store.database import Database


def find() -> None:
    """Let the settings of a running embedded stack stand wherever nobody said otherwise.

    The environment wins over `.env`, which wins over what the stack wrote into its home's `stack.env`.
    """
    own = {**dotenv_values(".env"), **os.environ}
    home = own.get("LAZARETTO_HOME") or "var"
    for name, value in dotenv_values(Path(home) / "stack.env").items():
        if name not in own and value is not None:
            os.environ[name] = value


@contextmanager
def database() -> Iterator[Database]:
    """The database, up to date. Raises `Permanent` where it is not."""
    with closing(Database(load().database_url.get_secret_value())) as opened:
        if migrations.pending(opened):
            raise Permanent(
                f"the database {opened.engine.url} is not up to date",
                expected="LAZARETTO_DATABASE_URL of an installation, after `lazaretto migrate`",
            )
        yield opened
