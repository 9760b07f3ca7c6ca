"""Which objects of a bucket are on record: asked some at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import IntegrityError

from worker import clock, services
from worker.scan import Cause, Mover, Scan, Status
from worker.store import sources
from worker.store.database import Database

NOW = clock.now()
CAUSE = Cause(Mover.OPERATOR, "test")
FIRST = Scan("", "default", Status.QUEUED, "a", None, NOW, NOW, source_bucket="legacy", source_etag='"e"')


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """With some thousand objects of one bucket."""
    with closing(Database(database_url)) as made:
        services.ensure_bootstrap_key(made, "key")
        with made.write() as connection:
            sources.add_all(connection, [_scan(f"{number:05}") for number in range(3000)], CAUSE)
            if connection.dialect.name == "postgresql":  # whose autovacuum does so; SQLite is never told
                connection.exec_driver_sql("ANALYZE")
        yield made


def _scan(key: str, **changes: Any) -> Scan:
    return replace(FIRST, id=clock.new_id(), source_key=key, **changes)


def test_an_object_is_known_by_bucket_key_and_etag(database: Database) -> None:
    with database.read() as connection:
        assert sources.known(connection, "legacy", ["00001", "unknown"]) == {("00001", '"e"')}
        assert sources.known(connection, "another", ["00001"]) == set()
        assert sources.known(connection, "", ["00001"]) == set()


def test_the_same_object_is_on_record_once_and_others_with_it_not_at_all(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        sources.add_all(connection, [_scan("new"), _scan("00001")], CAUSE)
    with database.write() as connection:
        assert sources.known(connection, "legacy", ["new"]) == set()
        sources.add_all(connection, [_scan("00001", source_etag='"another"'), _scan("00001", source_bucket="b")], CAUSE)


def test_looking_them_up_reads_an_index(database: Database) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    with database.read() as connection:
        found = sources.known(connection, "legacy", [f"{number:05}" for number in range(5)])
    event.remove(database.engine, "before_cursor_execute", note)
    assert len(found) == 5
    explain = "EXPLAIN " if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    statement, parameters = next(each for each in asked if "scans" in each[0])
    with database.read() as connection:
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
    assert "ix_scans_source" in plan
