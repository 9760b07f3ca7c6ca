"""What many tests share, since each costs more to make than most tests take: a sandbox, and databases' tables."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, closing
from pathlib import Path
from uuid import uuid4

import psycopg

from worker import migrations
from worker.sandbox import Sandbox
from worker.store.database import Database


class KeptSandbox(Sandbox):
    """One that stays when a worker that used it ends."""

    def close(self) -> None:
        """Not yet: see `end`."""

    def end(self) -> None:
        super().close()

    def adopt(self) -> None:
        """In a process forked from the owner's, which does nothing meanwhile: its server goes on here."""
        if self._server is not None:
            self._server.owner = os.getpid()

    def idle(self) -> AbstractContextManager[bool]:
        """Inside the block no call is going on: whoever ends there owes the server nothing."""
        return self._lock


class SQLiteTemplate:
    """A database with its tables and nothing in them, which is copied instead of migrated."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "template.db"
        _migrate(f"sqlite:///{self._path}")

    def copied(self, path: Path) -> str:
        """The URL of a new one."""
        shutil.copy(self._path, path)
        return f"sqlite:///{path}"


class PostgresTemplate:
    """The same on a server."""

    _NAME = "template_of_tests"

    def __init__(self, server: str) -> None:
        self._server = server
        self._execute(f"CREATE DATABASE {self._NAME}")
        _migrate(self._url(self._NAME))

    def copied(self) -> str:
        """The URL of a new one."""
        name = f"test_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self._NAME} STRATEGY FILE_COPY")  # half as much is written
        return self._url(name)

    def drop(self, url: str) -> None:
        """Hundreds of them would still be written to disk when the suite has ended."""
        self._execute(f"DROP DATABASE {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return self._server.rsplit("/", 1)[0] + f"/{name}"

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement.encode())


def _migrate(url: str) -> None:
    with closing(Database(url)) as database:
        migrations.upgrade(database)
