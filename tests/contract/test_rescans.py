"""Who is asked to be looked at again, on either database: each once, a stretch at a time; and what workers left."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import Connection, event, insert, select

from worker import api_keys, clock, services
from worker.adapters import task_queue
from worker.adapters.task_queue import TaskQueue
from worker.errors import LeaseLost, QueueUnavailable
from worker.lanes import Lane
from worker.operations import Order
from worker.rescans import Rescans, Stretch
from worker.scan import Cause, Mover, Scan, ScannerInfo, Status
from worker.settings import Settings
from worker.store import events, rescans, scans
from worker.store.database import Database
from worker.store.rescans import Asker, Wanted
from worker.store.rows import scanner_values
from worker.store.tables import rescans as table
from worker.store.tables import scans as scans_table
from worker.sweep_rescans import RescanSweeper

ASKER = Asker("operator:ann", None, None)
ORDER = Order("operator:ann", Mover.OPERATOR)
NOW = clock.now()
NEW, OLD = NOW - timedelta(days=1), NOW - timedelta(days=30)
WEEK_AGO = NOW - timedelta(days=7)


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> Settings:
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return Settings(_env_file=None, home=tmp_path, database_url=SecretStr(database_url), redis_url=SecretStr(redis_url))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as made:
        services.ensure_bootstrap_key(made, "key")
        yield made


@pytest.fixture
def queue(settings: Settings) -> Iterator[TaskQueue]:
    with closing(TaskQueue(settings)) as made:
        yield made


@pytest.fixture
def asking(database: Database, queue: TaskQueue) -> Rescans:
    return Rescans(database, queue)


@pytest.fixture
def sweeper(database: Database, queue: TaskQueue, settings: Settings) -> RescanSweeper:
    return RescanSweeper(database, queue, settings)


def _scan(database: Database, seen: datetime | None = OLD, status: Status = Status.CLEAN, service: str = "") -> str:
    """One that signatures of that time saw last."""
    scan_id, name = clock.new_id(), service or "default"
    scan = Scan(scan_id, name, status, "a", None, NOW, NOW, finished_at=NOW if status.ended else None)
    with database.write() as connection:
        scans.add(connection, scan, Cause(Mover.SERVICE, "test"))
        info = ScannerInfo("ClamAV 1.4.6", "1" if seen else None, seen, seen is None)
        scans.amend(connection, scan_id, scanner=scanner_values(info))
    return scan_id


def _waiting(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(table.c.scan_id)).scalars())


def _ask(database: Database, *ids: str) -> None:
    with database.write() as connection:
        rescans.ask(connection, ASKER, ids, enqueued_at=None)


def _lose_worker(database: Database, scan_id: str) -> None:
    with database.write() as connection:
        assert rescans.take(connection, scan_id, clock.now() - timedelta(seconds=1))


def test_only_what_is_promoted_and_was_seen_by_older_signatures_is_asked_for(
    database: Database, asking: Rescans
) -> None:
    old, unknown, released = _scan(database), _scan(database, None), _scan(database, status=Status.RELEASED)
    never = _scan(database)
    with database.write() as connection:
        scans.amend(connection, never, scanner=None)
    _scan(database, NEW)
    for status in set(Status) - {Status.CLEAN, Status.RELEASED}:
        _scan(database, status=status)
    wanted = Wanted(older_than=WEEK_AGO)
    assert asking.count(wanted, most=100) == Stretch(4, None)
    assert asking.ask_all(wanted, ORDER, most=100) == Stretch(4, None)
    assert _waiting(database) == {old, unknown, released, never}
    assert asking.count(wanted, most=100) == asking.ask_all(wanted, ORDER, most=100) == Stretch(0, None)


def test_a_range_and_a_service_narrow_it(database: Database, asking: Rescans) -> None:
    api_keys.add_service(database, "other")
    other = _scan(database, service="other")
    before = _scan(database)
    moment = clock.moment_of(before) + timedelta(milliseconds=1)
    while clock.first_id(clock.now()) <= clock.first_id(moment):
        pass
    after = _scan(database, NEW)
    assert asking.count(Wanted(since=moment), most=9).count == 1
    assert asking.count(Wanted(until=moment), most=9).count == 2
    asking.ask_all(Wanted("other"), ORDER, most=9)
    assert _waiting(database) == {other}
    asking.ask_all(Wanted("default", since=moment), ORDER, most=9)
    assert _waiting(database) == {other, after}


def test_the_whole_way_is_walked_in_stretches_that_can_be_repeated(database: Database, asking: Rescans) -> None:
    ids = [_scan(database, NEW if number % 3 else OLD) for number in range(10)]
    steps, after = [], ""
    while True:
        step = asking.ask_all(Wanted(older_than=WEEK_AGO), ORDER, most=4, after=after)
        assert asking.ask_all(Wanted(older_than=WEEK_AGO), ORDER, most=4, after=after) == Stretch(0, step.last)
        steps.append(step)
        if step.last is None:
            break
        after = step.last
    assert [step.count for step in steps] == [2, 1, 1]
    assert _waiting(database) == set(ids[::3])


def test_asked_by_several_at_once_each_waits_once(database: Database, asking: Rescans) -> None:
    ids = {_scan(database) for _ in range(40)}
    ask = partial(asking.ask_all, Wanted(), ORDER, most=100)
    with ThreadPoolExecutor(4) as pool:
        counts = [each.result().count for each in [pool.submit(ask) for _ in range(8)]]
    assert sum(counts) == len(ids)
    assert _waiting(database) == ids


def test_of_many_claims_one_wins_and_its_token_counts(database: Database) -> None:
    scan_id = _scan(database)
    _ask(database, scan_id)
    until = clock.now() + timedelta(seconds=30)

    def claim(_number: int) -> rescans.Rescan | None:
        with database.write() as connection:
            return rescans.take(connection, scan_id, until)

    with ThreadPoolExecutor(4) as pool:
        (won,) = [each for each in pool.map(claim, range(8)) if each]
    assert won.attempts == 1
    with database.write() as connection:
        assert rescans.renew(connection, won, until)
        rescans.give_back(connection, won, None, counts=False)
        assert not rescans.renew(connection, won, until)
    with pytest.raises(LeaseLost), database.write() as connection:
        rescans.remove(connection, won)
    assert _waiting(database) == {scan_id}


def test_a_note_is_left_only_where_the_scan_is_as_it_was_read(database: Database) -> None:
    scan_id = _scan(database)
    _ask(database, scan_id)
    with database.write() as connection:
        rescan = rescans.take(connection, scan_id, clock.now() + timedelta(seconds=30))
        scan = scans.get(connection, scan_id)
        assert rescan is not None
        assert scan is not None
        scans.move(connection, scan_id, Status.CLEAN, Status.ERASED, Cause(Mover.OPERATOR, "test"))
        assert not rescans.end(connection, rescan, scan, Cause(Mover.WORKER, "late"), request_id="late")
        assert [each.reason for each in events.of(connection, scan_id)] == ["test", "test"]
        now = scans.get(connection, scan_id)
    assert now is not None
    assert now.request_id is None
    assert _waiting(database) == set()


def test_what_no_task_stands_for_is_handed_over_once(
    database: Database, sweeper: RescanSweeper, queue: TaskQueue
) -> None:
    _ask(database, *[_scan(database) for _ in range(3)])
    assert sweeper.enqueue() == 3
    assert (queue.waiting(Lane.BULK), queue.waiting()) == (3, 0)
    assert sweeper.enqueue() == 0


def test_what_redis_lost_is_handed_over_again(
    database: Database, sweeper: RescanSweeper, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _ask(database, _scan(database))
    assert sweeper.enqueue() == 1
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushdb()
    later = clock.now() + timedelta(seconds=settings.enqueue_grace + 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert sweeper.enqueue() == 1


def test_the_line_never_gets_longer_than_redis_can_bear(
    database: Database, sweeper: RescanSweeper, queue: TaskQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "_MOST_BULK", 2)
    _ask(database, *[_scan(database) for _ in range(5)])
    assert (sweeper.enqueue(), sweeper.enqueue(), queue.waiting(Lane.BULK)) == (2, 0, 2)


def test_while_redis_is_away_nothing_is_marked(database: Database, settings: Settings) -> None:
    _ask(database, _scan(database))
    nowhere = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    with closing(TaskQueue(nowhere)) as queue, pytest.raises(QueueUnavailable):
        RescanSweeper(database, queue, settings).enqueue()
    with database.read() as connection:
        assert connection.execute(select(table.c.enqueued_at)).scalar_one() is None


def test_a_lost_worker_costs_an_attempt_and_the_last_one_is_told(
    database: Database, sweeper: RescanSweeper, settings: Settings
) -> None:
    scan_id = _scan(database)
    _ask(database, scan_id)
    for _ in range(settings.max_attempts):
        assert scan_id in _waiting(database)
        _lose_worker(database, scan_id)
        assert sweeper.end_leases() == 1
    assert _waiting(database) == set()
    with database.read() as connection:
        note = events.of(connection, scan_id)[-1]
    assert (note.source, note.target) == (Status.CLEAN, Status.CLEAN)
    assert note.reason == (
        f"rescan failed after {settings.max_attempts} attempts: the worker was lost; asked by operator:ann"
    )
    assert sweeper.end_leases() == 0


@pytest.mark.parametrize("wanted", [Wanted(older_than=WEEK_AGO), Wanted("default", older_than=WEEK_AGO)])
def test_a_stretch_costs_what_it_passes_however_many_there_are(database: Database, wanted: Wanted) -> None:
    _many(database)
    with _plans(database) as plans, database.write() as connection:
        found, last = rescans.stretch(connection, wanted, "", 100)
        assert last is not None
        rescans.count(connection, found)
        assert rescans.ask(connection, ASKER, found, enqueued_at=None) == 100
    assert len(plans) == 4
    for plan in plans:
        assert "Seq Scan on scans" not in plan
        assert "SCAN scans" not in plan
    for page in plans[:2]:
        assert "status_id" in page or "pk_scans" in page, "an index whose order is that of the ids"
        assert "Sort" not in page
        assert "TEMP B-TREE" not in page


def test_what_the_sweeper_asks_costs_what_it_finds(database: Database, sweeper: RescanSweeper) -> None:
    _many(database)
    with database.write() as connection:
        found, _ = rescans.stretch(connection, Wanted(), "", 10_000)
        rescans.ask(connection, ASKER, found, enqueued_at=clock.now())
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")
    with _plans(database) as plans, database.write() as connection:
        assert rescans.take_unqueued(connection, NOW, OLD, 500) == []
        assert rescans.take_lost(connection, NOW, 500) == []
    for plan, index in zip(plans, ("ix_rescans_enqueued_at", "ix_rescans_lease_until"), strict=True):
        assert index in plan
        assert "Seq Scan" not in plan
        assert "SCAN rescans" not in plan


def _many(database: Database) -> None:
    first = _scan(database)
    with database.write() as connection:
        row = dict(connection.execute(select(scans_table).where(scans_table.c.id == first)).mappings().one())
        states = [row | {"status": status.value} for status in Status]
        connection.execute(insert(scans_table), [each | {"id": clock.new_id()} for _ in range(1000) for each in states])
        if connection.dialect.name == "postgresql":  # whose autovacuum does so; SQLite is never told
            connection.exec_driver_sql("ANALYZE")


@contextmanager
def _plans(database: Database) -> Iterator[list[str]]:
    """How the database goes about each statement inside the block; complete at its end."""
    asked: list[tuple[str, Any]] = []
    plans = list[str]()

    def note(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    yield plans
    event.remove(database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN " if database.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
    with database.read() as connection:
        for statement, parameters in asked:
            if "scans" in statement:
                plans.append("\n".join(map(str, connection.exec_driver_sql(explain + statement, parameters))))
