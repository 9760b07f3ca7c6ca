"""What recovery asks for is little, and is found by an index: whatever the number of rows, and of scans that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert

from worker import clock, services
from worker.lanes import Lane
from worker.scan import Cause, Mover, Scan, Status
from worker.store import backlog, inventory, orders, scans, standing
from worker.store.database import Database
from worker.store.tables import scans as table

ROWS = 5000  # of each kind: ended, and waiting in Redis' line
NOW = clock.now()
LOST_BEFORE = NOW - timedelta(seconds=10)
Ask = Callable[[Database], object]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """With many scans, for none of which the sweeper has anything to do."""
    made = Database(database_url)
    services.ensure_bootstrap_key(made, "key")
    with made.write() as connection:
        first = Scan(clock.new_id(), "default", Status.CLEAN, "a", None, NOW, NOW, finished_at=NOW)
        scans.add(connection, first, Cause(Mover.SERVICE, "test"))
        row = dict(connection.execute(table.select()).mappings().one())
        ended, line = {"finished_at": NOW}, {"status": "queued", "finished_at": None, "quarantine_key": "k"}
        waiting = line | {"enqueued_at": NOW}
        bulk = line | {"lane": "bulk", "enqueued_at": NOW - timedelta(days=1)}
        rows = [row | kind | {"id": clock.new_id()} for kind in (ended, waiting, bulk) for _ in range(ROWS)]
        connection.execute(insert(table), rows)
        if connection.dialect.name == "postgresql":  # whose autovacuum does so; SQLite is never told
            connection.exec_driver_sql("ANALYZE")
    yield made
    made.close()


def _found(condition: Any) -> Ask:
    def ask(database: Database) -> object:
        with database.read() as connection:
            return backlog.find(connection, condition, 500)

    return ask


def _unqueued(database: Database) -> object:
    with database.write() as connection:
        return backlog.take_unqueued(connection, NOW, LOST_BEFORE, 500, Lane.SCANS)


def _unqueued_bulk(database: Database) -> object:
    with database.write() as connection:
        return backlog.take_unqueued(connection, NOW, LOST_BEFORE - timedelta(days=1), 500, Lane.BULK)


def _uploads_waiting(database: Database) -> object:
    with database.read() as connection:
        return standing.uploads_waiting(connection, 100)


def _held(database: Database) -> object:
    with database.read() as connection:
        return orders.held(connection, scans.Filter(statuses=(Status.FAILED,), service="default"), NOW, 200)


def _held_counted(database: Database) -> object:
    with database.read() as connection:
        return orders.count(connection, scans.Filter(service="default"), NOW)


def _in_quarantine(database: Database) -> object:
    return list(inventory.walk(database, inventory.in_quarantine(), 1000))


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (_unqueued, "ix_scans_pending"),
        (_unqueued_bulk, "ix_scans_pending"),
        (_uploads_waiting, "ix_scans_pending"),
        (_held, "ix_scans_held"),
        (_held_counted, "ix_scans_held"),
        (_found(backlog.lost_workers(NOW)), "ix_scans_"),
        (_found(backlog.abandoned_uploads(NOW)), "ix_scans_"),
        (_found(backlog.held_before(NOW, None, others=["avatars"])), "ix_scans_held"),
        (_found(backlog.untidy(NOW)), "ix_scans_untidy"),
        (_in_quarantine, "ix_scans_in_quarantine"),
    ],
)
def test_what_is_to_be_done_is_found_by_an_index(database: Database, ask: Ask, index: str) -> None:
    plan = _plan(database, ask)
    assert index in plan
    assert "Seq Scan" not in plan
    assert "SCAN scans" not in plan


@pytest.mark.parametrize("ask", [_unqueued, _unqueued_bulk])
def test_a_line_is_not_walked_along_to_find_what_is_not_in_it(database: Database, ask: Ask) -> None:
    """Of neither queue: each of the four ranges ends where what waits begins."""
    assert ask(database) == []
    plan = _plan(database, ask).splitlines()
    ranges = [line for line in plan if "ix_scans_pending (" in line or "Index Cond" in line]
    assert len(ranges) >= 4
    assert all("lane" in each and "enqueued_at" in each for each in ranges)
    assert not [line for line in plan if "pk_scans" in line]


def _plan(database: Database, ask: Ask) -> str:
    """How the database goes about what `ask` asks."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    ask(database)
    event.remove(database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN " if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    statement, parameters = next(each for each in asked if "scans" in each[0])
    with database.read() as connection:
        return "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
