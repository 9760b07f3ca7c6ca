"""Thousands that failed are put back by one order: each once, whatever interrupts it, and in a queue of their own."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, select, update

from tests import effects
from tests.calendar import Calendar
from tests.effects import Point
from tests.service.test_operations import ORDER, PDF, failed
from tests.system import System
from worker import clock, operations
from worker.adapters import task_queue
from worker.errors import ScannerUnavailable
from worker.handover import hand_over_all
from worker.lanes import Lane
from worker.scan import Mover, Status
from worker.store import scans
from worker.store.scans import Filter
from worker.store.tables import events
from worker.store.tables import scans as table

TOGETHER = 20  # in one transaction
MANY = 2 * TOGETHER + 5
ALL = Filter()


@pytest.fixture
def system(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    """In which fewer than thousands are many."""
    monkeypatch.setattr(operations, "_TOGETHER", TOGETHER)
    return system


def _lost(system: System, count: int, *, files: bool = False) -> set[str]:
    """So many scans that failed; their bytes are there where `files` says so."""
    first = failed(system, system.upload(PDF, "report.pdf"))
    system.flush_queue()
    with system.database.write() as connection:
        row = dict(connection.execute(select(table)).mappings().one())
        ids = [clock.new_id() for _ in range(count - 1)]
        rows = [row | {"id": each, "quarantine_key": f"sealed/{each}", "tidy_at": None} for each in ids]
        if rows:
            connection.execute(insert(table), rows)
    for each in ids if files else ():
        system.objects.put(system.settings.quarantine_bucket, f"sealed/{each}", PDF)
    return {first.id, *ids}


def test_redis_holds_no_more_of_them_than_the_line_has_room_for(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses what comes once its memory is full, and then uploads wait for the sweeper."""
    lost = _lost(system, MANY)
    monkeypatch.setattr(task_queue, "_MOST_BULK", TOGETHER + 5)
    assert system.operations().retry_all(ALL, ORDER, most=10_000) == MANY
    assert _times_put_back(system) == Counter(dict.fromkeys(lost, 1))
    assert system.queue.waiting("bulk") <= TOGETHER + 5
    left = MANY - system.queue.waiting("bulk")
    assert sum(scan.enqueued_at is None for scan in system.all()) == left
    system.flush_queue()
    assert system.sweeper().sweep().enqueued == left


def _times_put_back(system: System) -> Counter[str]:
    """By scan: how often an operator did so."""
    order = (events.c.actor == ORDER.actor, events.c.target == Status.QUEUED.value)
    with system.database.read() as connection:
        return Counter(connection.execute(select(events.c.scan_id).where(*order)).scalars())


def test_all_are_put_back_behind_the_uploads(system: System) -> None:
    lost = _lost(system, MANY)
    assert system.operations().count(ALL) == MANY
    assert system.operations().retry_all(ALL, ORDER, most=10) == 10
    assert system.operations().retry_all(ALL, ORDER, most=10_000) == MANY - 10
    assert _times_put_back(system) == Counter(dict.fromkeys(lost, 1))
    assert (system.queue.waiting("bulk"), system.queue.waiting()) == (MANY, 0)
    assert {(scan.lane, scan.decision, scan.attempts) for scan in system.all()} == {(Lane.BULK, 2, 0)}
    assert system.operations().count(ALL) == system.operations().retry_all(ALL, ORDER, most=10_000) == 0
    system.upload(PDF, "report.pdf")
    assert (system.queue.waiting("bulk"), system.queue.waiting()) == (MANY, 1)


@pytest.mark.parametrize(
    "point", [Point("before commit", 2), Point("after commit", 2), Point("after TaskQueue.enqueue", 30)], ids=str
)
def test_killed_anywhere_and_repeated(system: System, calendar: Calendar, point: Point) -> None:
    lost = _lost(system, MANY)
    if (pid := os.fork()) == 0:
        try:
            own = system.in_a_fork()
            with effects.at(own.objects, point, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                own.operations().retry_all(ALL, ORDER, most=10_000)
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    halfway = system.operations().count(ALL)
    assert 0 < halfway < MANY
    assert system.operations().retry_all(ALL, ORDER, most=10_000) == halfway
    assert _times_put_back(system) == Counter(dict.fromkeys(lost, 1))
    system.flush_queue()  # whatever was in line, and what was not: the sweeper makes no difference
    calendar.pass_time(60)
    assert system.sweep().enqueued == MANY
    assert (system.queue.waiting("bulk"), system.queue.waiting()) == (MANY, 0)


def test_two_operators_at_once(system: System) -> None:
    lost = _lost(system, MANY)
    order = partial(system.operations().retry_all, ALL, ORDER, most=10_000)
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda _: order(), range(2)))
    assert sum(counts) == MANY
    assert _times_put_back(system) == Counter(dict.fromkeys(lost, 1))
    assert system.queue.waiting("bulk") == MANY


def test_while_redis_is_away_the_sweeper_hands_them_over(system: System) -> None:
    _lost(system, MANY)
    away = system.with_settings(redis_url=SecretStr("redis://127.0.0.1:1/0"))
    assert away.operations().retry_all(ALL, ORDER, most=10_000) == MANY
    away.queue.close()
    away.parts.close()
    assert {scan.enqueued_at for scan in system.all()} == {None}
    assert system.sweep().enqueued == MANY
    assert (system.queue.waiting("bulk"), system.queue.waiting()) == (MANY, 0)


def test_what_fails_again_meanwhile_is_left_alone(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poisonous file that is back and has failed before the order is at its end."""
    lost = _lost(system, MANY)

    def poisonous(*arguments: Any) -> None:
        hand_over_all(*arguments)
        with system.database.write() as connection:
            again = {"status": "failed", "finished_at": clock.now()}
            connection.execute(update(table).where(table.c.status == "queued").values(again))

    monkeypatch.setattr("worker.operations.hand_over_all", poisonous)
    assert system.operations().retry_all(ALL, ORDER, most=10_000) == MANY
    assert _times_put_back(system) == Counter(dict.fromkeys(lost, 1))


def test_bulk_work_that_is_postponed_stays_bulk(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    [scan_id] = _lost(system, 1)
    system.operations().retry_all(ALL, ORDER, most=1)
    with monkeypatch.context() as patch:
        patch.setattr(system.parts.pipeline._custody._gate, "obstacle", ScannerUnavailable)
        system.deliver()
    assert (system.scan(scan_id).status, system.scan(scan_id).lane) == (Status.QUEUED, Lane.BULK)
    system.amend(scan_id, due_at=None)
    assert system.sweep().enqueued == 1
    assert (system.queue.waiting("bulk"), system.queue.waiting()) == (1, 0)
    assert system.deliver() == 1
    assert system.scan(scan_id).status is Status.CLEAN


def test_they_end_where_they_would_have_ended(system: System, calendar: Calendar) -> None:
    lost = _lost(system, 5, files=True)
    system.operations().retry_all(ALL, ORDER, most=10_000)
    system.recover(calendar)
    assert {scan.status for scan in system.all()} == {Status.CLEAN}
    assert len(system.promoted()) == len(lost)
    assert system.quarantined() == []


def test_only_what_is_held_and_meant_is_put_back(system: System) -> None:
    lost = _lost(system, MANY)
    [gone, *_] = lost
    system.amend(gone, quarantine_key=None)
    for wanted in (
        Filter(service="nobody"),
        Filter(statuses=(Status.UNSCANNABLE,)),
        Filter(statuses=(Status.CLEAN,)),
        Filter(ids=(gone,)),
    ):
        assert system.operations().count(wanted) == system.operations().retry_all(wanted, ORDER, most=10_000) == 0
    assert system.operations().retry_all(Filter(service="default"), ORDER, most=10_000) == MANY - 1
    with system.database.read() as connection:
        left = scans.page(connection, Filter(statuses=(Status.FAILED,)), limit=10)
    assert [scan.id for scan in left] == [gone]
    assert ORDER.mover is Mover.OPERATOR
