"""Connections and transactions on SQLite or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from worker.errors import DatabaseUnavailable

_WRITE = "lazaretto_write"
_BUSY_SECONDS = 20


class Database:
    """A pool of connections; make one per process, after the fork.

    `read()` and `write()` are short transactions: no S3, clamd or network call belongs inside one.
    Both raise `DatabaseUnavailable` where the database does not answer.
    """

    def __init__(self, url: str, *, connect_timeout: float = 2) -> None:
        self.engine = _engine(url, connect_timeout)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that changes nothing."""
        with _outages_told(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block and rolls back on an exception."""
        writing = self.engine.execution_options(**{_WRITE: True})
        with _outages_told(), writing.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _outages_told() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as fault:
        raise DatabaseUnavailable(f"the database does not answer ({_cause(fault)}); trying again can help") from fault


def _cause(fault: Exception) -> str:
    origin = fault.orig if isinstance(fault, DBAPIError) and fault.orig else fault
    return str(origin).strip().split("\n", 1)[0]


def _engine(url: str, connect_timeout: float) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, pool_pre_ping=True, connect_args={"connect_timeout": max(1, int(connect_timeout))})


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """A deferred transaction that reads and then writes fails at once if another wrote meanwhile,
    whatever the time-out (https://www.sqlite.org/isolation.html); an immediate one waits its turn."""
    immediate = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
