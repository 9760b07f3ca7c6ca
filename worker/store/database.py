"""Connections and transactions on SQLite or PostgreSQL."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from worker import clock, telemetry
from worker.errors import DatabaseUnavailable
from worker.spent import InDatabase
from worker.store import counted
from worker.telemetry import Log

T = TypeVar("T")
_WRITE = "lazaretto_write"
_AFTER = "lazaretto_after"
_BUSY_SECONDS = 10
_RECYCLE_SECONDS = 300  # a new connection looks at the server's clock again
_SAME_TIME = timedelta(seconds=1)  # what nobody need see to
# What PostgreSQL says while it fails over or is shut to writers, and of a transaction that idled for too long
# (https://www.postgresql.org/docs/current/errcodes-appendix.html, class 25); the driver calls it an error of ours.
_PASSING_STATES = frozenset({"25006", "25P03"})
_LOOK_SECONDS = 0.001  # flock(2) itself knows no time-out


class Database:
    """A pool of connections; make one per process, after the fork.

    `read()` and `write()` are short transactions: no S3, clamd or network call belongs inside one.
    Both raise `DatabaseUnavailable` where the database does not answer.
    """

    def __init__(self, url: str, *, connect_timeout: float = 2, timeout: float | None = 10) -> None:
        """Time-outs in seconds: to connect, and for each answer; None: however long it takes."""
        self.engine = _engine(url, connect_timeout, timeout)
        self._writing = self.engine.execution_options(**{_WRITE: True})
        self._reading = self.engine
        if self.engine.dialect.name == "postgresql":
            self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._turns = _Turns.beside(self.engine)
        counted.count(self.engine)

    @contextmanager
    def read(self, *, streamed: bool = False) -> Iterator[Connection]:
        """Statements that change nothing. On PostgreSQL, which at READ COMMITTED shows each of them the present anyway
        (https://www.postgresql.org/docs/current/transaction-iso.html), each is sent by itself, in one round trip
        instead of three; unless `streamed`: rows that come a few at a time need a transaction."""
        engine = self.engine if streamed else self._reading
        with InDatabase(), _outages_told(), engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block and rolls back on an exception."""
        after: list[Callable[[], None]] = []
        with InDatabase(), _outages_told(), self._turns, self._writing.begin() as connection:
            connection.info[_AFTER] = after
            yield connection
        for tell in after:
            tell()

    def close(self) -> None:
        self.engine.dispose()
        self._turns.close()


def after_commit(connection: Connection, tell: Callable[[], None]) -> None:
    """Have something counted once the open `write` is committed; never, where it is rolled back. It must not raise."""
    connection.info.setdefault(_AFTER, []).append(tell)


class _Turns:
    """Writers of one SQLite file take turns, and look for theirs every millisecond.

    SQLite's own way is to sleep for up to 100 ms in between, and whoever looks at the right moment wins: with
    a dozen writers most of the time is slept away. The lock is advice between us; SQLite's own stays in force.
    """

    def __init__(self, path: Path | None) -> None:
        self._thread = threading.Lock()  # a file lock is the process's: threads would share it
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) if path else None

    @classmethod
    def beside(cls, engine: Engine) -> Self:
        """For the file of an engine; every other database lets writers wait by itself."""
        database = engine.url.database
        is_file = engine.dialect.name == "sqlite" and database not in (None, "", ":memory:")
        return cls(Path(f"{database}-turns") if is_file else None)

    def __enter__(self) -> None:
        """Raises `DatabaseUnavailable` where the turn does not come: somebody holds it and hangs."""
        if self._file is None:
            return
        deadline = time.monotonic() + _BUSY_SECONDS
        if not self._thread.acquire(timeout=_BUSY_SECONDS):
            raise DatabaseUnavailable
        try:
            while not self._locked():
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable
                time.sleep(_LOOK_SECONDS)
        except BaseException:
            self._thread.release()
            raise

    def _locked(self) -> bool:
        try:
            fcntl.flock(self._file or 0, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __exit__(self, *_fault: object) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._thread.release()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


class _Impatient(psycopg.Connection[Any]):
    """Gives up on a server that is silent, which libpq does not: its kernel goes on saying that all is well."""

    patience: float | None = None  # seconds

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()  # the answer may still come, and nobody must take it for that to another question
            raise


@contextmanager
def _outages_told() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout) as fault:
        if not _is_outage(fault):
            raise
        raise DatabaseUnavailable(f"the database does not answer ({_cause(fault)}); trying again can help") from fault


def _is_outage(fault: DBAPIError | PoolTimeout) -> bool:
    if isinstance(fault, OperationalError | InterfaceError | PoolTimeout):
        return True
    return getattr(fault.orig, "sqlstate", None) in _PASSING_STATES


def _cause(fault: Exception) -> str:
    origin = fault.orig if isinstance(fault, DBAPIError) and fault.orig else fault
    return str(origin).strip().split("\n", 1)[0]


def _engine(url: str, connect_timeout: float, timeout: float | None) -> Engine:
    """What a statement was about, secrets among it, stays out of faults: they end up in logs."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_private(parsed.database)
        options = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
        engine = create_engine(parsed, hide_parameters=True, connect_args=options)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    options = {"connect_timeout": max(1, int(connect_timeout))}
    engine = create_engine(
        parsed, hide_parameters=True, pool_pre_ping=True, pool_recycle=_RECYCLE_SECONDS, connect_args=options
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> _Impatient:
        connection = _Impatient.connect(*arguments, **options)
        connection.patience = timeout
        _follow(connection)
        return connection

    return engine


def _follow(connection: _Impatient) -> None:
    ahead = clock.follow(lambda: connection.execute("SELECT clock_timestamp()").fetchall()[0][0])
    connection.rollback()
    if abs(ahead) > _SAME_TIME:
        telemetry.warn(Log.CLOCK_DIFFERS, seconds=ahead.total_seconds(), followed="database")


def _make_private(database: str | None) -> None:
    """Nobody else reads a new database: it holds what webhooks are signed with. What SQLite puts beside it gets the
    same mode (`findCreateFileMode` in its os_unix.c)."""
    if database in (None, "", ":memory:"):
        return
    path = Path(database)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with suppress(OSError):  # which SQLite tells of in its own words
            path.touch(0o600)


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """A deferred transaction that reads and then writes fails at once if another wrote meanwhile,
    whatever the time-out (https://www.sqlite.org/isolation.html); an immediate one waits its turn."""
    immediate = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
