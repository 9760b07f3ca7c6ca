"""What a request asks of the store costs the same however many scans there are: measured by what the databases say
they have touched, not by the clock. And every index is there because something asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from ops.bench.invented import Invention
from ops.bench.load import fill
from ops.bench.questions import KEY, LISTS, Sample, questions
from tests.kept import PostgresTemplate, SQLiteTemplate
from worker import clock, services
from worker.lanes import Lane
from worker.rollup import RollUps
from worker.scan import Scan
from worker.store import backlog, findings, inventory, listing, rollups, scans, standing
from worker.store.database import Database
from worker.store.tables import metadata
from worker.store.tables import scans as table

SCANS = 6_000
CANDIDATES = 20
# What one statement may touch: that many candidates at most for each of twelve ranges, the page itself, and what is
# pending or held. A scan of a whole table or index is beyond it.
MOST_ROWS = 1_500
MOST_STEPS = 15_000  # of SQLite's machine, of which a row takes five at least
NOW = clock.now()
Asked = list[tuple[str, Any]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """With a month of scans."""
    made = Database(_url(request, tmp_path_factory.mktemp("plans")))
    services.ensure_bootstrap_key(made, KEY)
    fill(made, Invention(SCANS, NOW))
    while RollUps(made).keep():
        pass
    yield made
    made.close()


def _url(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        sqlite: SQLiteTemplate = request.getfixturevalue("sqlite_template")
        return sqlite.copied(folder / "lazaretto.db")
    postgres: PostgresTemplate = request.getfixturevalue("postgres_template")
    return postgres.copied()


@pytest.fixture(autouse=True)
def _few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CANDIDATES", CANDIDATES)


def _asked(database: Database, ask: Callable[[], object]) -> Asked:
    """The statements that it takes."""
    asked: Asked = []

    def note(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    ask()
    event.remove(database.engine, "before_cursor_execute", note)
    assert asked
    return asked


def _touched(database: Database, statement: str, parameters: Any) -> tuple[bool, str]:
    """Is it within bounds? And the plan."""
    with database.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            return _touched_rows(connection, statement, parameters)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        told = "\n".join(row[-1] for row in plan)
        return _steps(connection, statement, parameters) <= MOST_STEPS, told


def _touched_rows(connection: Connection, statement: str, parameters: Any) -> tuple[bool, str]:
    """Of so few rows PostgreSQL rightly reads all; where it may not, it shows what it does with millions."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    [plan] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
    connection.rollback()
    nodes = list(_nodes(plan["Plan"]))
    rows = 0
    for node in nodes:
        if "Relation Name" in node:
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            rows += (node["Actual Rows"] + removed) * node["Actual Loops"]
    return rows <= MOST_ROWS, f"{rows} rows: {json.dumps(nodes, indent=1)}"


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {name: value for name, value in node.items() if name != "Plans"}
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _steps(connection: Connection, statement: str, parameters: Any) -> int:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 100

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(count, 100)
    driver.execute(statement, parameters).fetchall()
    driver.set_progress_handler(None, 0)
    driver.rollback()
    return steps


def test_no_request_costs_more_where_there_are_more_scans(database: Database) -> None:
    sample = Sample.of(database, NOW, number=6)
    for name, ask in questions():
        for turn in range(4):
            for statement, parameters in _asked(database, lambda: ask(database, sample, turn)):  # noqa: B023 - at once
                within, plan = _touched(database, statement, parameters)
                assert within, f"{name}, turn {turn}: {statement}\n{plan}"


def test_a_list_that_no_index_knew_would_be_found_out(database: Database) -> None:
    """The measure measures."""
    wanted = select(table.c.id).where(table.c.filename.contains("nowhere")).order_by(table.c.id).limit(50)

    def ask() -> None:
        with database.read() as connection:
            connection.execute(wanted)

    [(statement, parameters)] = _asked(database, ask)
    within, plan = _touched(database, statement, parameters)
    assert not within, plan


def test_the_questions_are_about_something(database: Database) -> None:
    found = [name for name, wanted in LISTS.items() if _first(database, wanted)]
    assert len(found) > len(LISTS) / 2, found


def _first(database: Database, wanted: scans.Filter) -> list[Scan]:
    with database.read() as connection:
        return scans.page(connection, wanted, limit=1)


def _in_the_background(database: Database, sample: Sample) -> Iterator[Callable[[], object]]:
    """What sweepers, workers and reconciliation ask."""

    def within(ask: Callable[[Connection], object]) -> Callable[[], object]:
        def asked() -> None:
            with database.write() as connection:  # some change what they find, and some stream it
                ask(connection)

        return asked

    hour = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    lately, some = NOW - timedelta(days=90), sample.ids[0]
    for left in (backlog.held_before(lately, None, ["x"]), backlog.untidy(NOW), backlog.lost_workers(NOW)):
        yield within(partial(backlog.find, condition=left, limit=50))
    yield within(lambda connection: backlog.take_unqueued(connection, NOW, lately, 50, Lane.SCANS))
    yield lambda: next(inventory.walk(database, inventory.in_quarantine(), 50))
    yield lambda: next(inventory.walk(database, inventory.under("legal/"), 50))
    yield within(lambda connection: scans.of_source(connection, "incoming/legal/x", "e"))
    yield within(lambda connection: rollups.next_end(connection, hour))
    yield within(lambda connection: list(rollups.ends(connection, hour, hour + timedelta(hours=1))))
    yield within(lambda connection: standing.ended_since(connection, NOW - timedelta(seconds=10)))
    yield within(lambda connection: standing.uploads_waiting(connection, MOST_ROWS // 2))
    yield within(lambda connection: rollups.next_hour(connection, hour))
    yield within(lambda connection: rollups.replace(connection, "hour", lately, {}))
    [scan] = _first(database, scans.Filter(ids=(some,)))
    yield within(lambda connection: findings.replace(connection, scan))


def test_the_background_is_bounded_too(database: Database) -> None:
    for ask in _in_the_background(database, Sample.of(database, NOW, number=2)):
        for statement, parameters in _asked(database, ask):
            if statement.lstrip().startswith(("SELECT", "DELETE")):
                within, plan = _touched(database, statement, parameters)
                assert within, f"{statement}\n{plan}"


def test_each_index_is_there_for_something(database: Database) -> None:
    sample, plans = Sample.of(database, NOW, number=2), list[str]()
    asks = [partial(ask, database, sample, turn) for _, ask in questions() for turn in range(2)]
    everything: list[Callable[[], object]] = [*asks, *_in_the_background(database, sample)]
    for ask in everything:
        plans += [_plan(database, *each) for each in _asked(database, ask)]
    used = set(re.findall(r"ix_\w+", " ".join(plans)))
    tables = [metadata.tables[name] for name in ("scans", "events", "findings", "rollups")]
    assert {str(index.name) for each in tables for index in each.indexes} - used == set()


def _plan(database: Database, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN " if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    with database.read(streamed=True) as connection:  # in one transaction
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return " ".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
