"""Millions of rows into a database in minutes: without indexes, which are made afterwards, and without the checks that
rows which nobody else has written do not need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from sqlalchemy import Table, text

from ops.bench.invented import COLUMNS, WEIGHTS, Invention, Rows, worded
from worker.store.database import Database
from worker.store.tables import events, findings, scans

Put = Callable[[Table, Iterable[tuple[Any, ...]]], None]

_AT_ONCE = 20_000  # scans
_LOADED = (scans, events, findings)


def fill(database: Database, invention: Invention, said: Callable[[str], None] = lambda _: None) -> None:
    """Everything that was invented, into tables that are empty."""
    with database.write() as connection:
        for table in _LOADED:
            for index in table.indexes:
                index.drop(connection)
        moment = worded(invention.end)
        for name in WEIGHTS:
            connection.execute(text("INSERT INTO services VALUES (:name, :at)"), {"name": name, "at": moment})
    rows, done = invention.rows(), 0
    while some := list(islice(rows, _AT_ONCE)):
        _put_all(database, some)
        done += len(some)
        said(f"{done:,} of {invention.number:,} scans")
    for table in _LOADED:
        for index in table.indexes:
            said(f"index {index.name}")
            with database.write() as connection:
                index.create(connection)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.dialect.name == "postgresql":  # whose autovacuum does so; SQLite is never told
            connection.exec_driver_sql("VACUUM ANALYZE")


def _put_all(database: Database, some: list[Rows]) -> None:
    with database.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        put = _copy(driver) if connection.dialect.name == "postgresql" else _insert(driver)
        put(scans, (each.scan for each in some))
        put(events, (event for each in some for event in each.events))
        put(findings, (finding for each in some for finding in each.findings))
        driver.commit()


def _copy(driver: Any) -> Put:
    driver.execute("SET session_replication_role = replica")  # no look at foreign keys

    def put(table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({_names(table)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    return put


def _insert(driver: Any) -> Put:
    driver.execute("PRAGMA foreign_keys = OFF")
    driver.execute("BEGIN")

    def put(table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        names = _names(table)
        places = ", ".join("?" * len(names.split(", ")))
        driver.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", rows)  # noqa: S608 - our names

    return put


def _names(table: Table) -> str:
    return ", ".join(COLUMNS[table.name])
