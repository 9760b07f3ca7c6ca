"""Which queue a scan waits in, from its arrival on; and in which order a worker looks into several."""

from __future__ import annotations

import io
import os
import zipfile
from datetime import timedelta

import pytest
from kombu import Message

from tests.system import System
from worker import clock
from worker.adapters.task_queue import make_celery
from worker.lanes import Lane
from worker.operations import Order
from worker.scan import Mover, Scan, Status
from worker.settings import Settings
from worker.store import scans

LARGE_SIZE = 4096
OTHERS = 20
ORDER = Order("service:default key:lz_operator", Mover.OPERATOR, "request-9")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """For which little is large already."""
    return settings.model_copy(update={"large_size": LARGE_SIZE})


def _lines(system: System) -> list[int]:
    """How many tasks wait, by lane."""
    return [system.queue.waiting(lane) for lane in Lane]


def _zip(size: int) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("noise", os.urandom(size))
    return stored.getvalue()


def test_an_upload_waits_where_its_size_and_kind_belong(system: System) -> None:
    small, archive = system.upload(b"x" * (LARGE_SIZE - 1)), system.upload(_zip(LARGE_SIZE // 4), "a.zip")
    large = system.upload(b"x" * LARGE_SIZE)
    assert [scan.lane for scan in (small, archive, large)] == [Lane.SCANS, Lane.LARGE, Lane.LARGE]
    assert _lines(system) == [1, 2, 0]
    assert system.deliver() == 3
    assert {system.scan(scan.id).status for scan in (small, archive, large)} == {Status.CLEAN}


def test_so_does_what_comes_without_us(system: System) -> None:
    small, large = system.upload_direct(b"x", "a.txt"), system.upload_direct(b"x" * LARGE_SIZE, "a.txt")
    assert [system.scan(scan.id).lane for scan in (small, large)] == [Lane.SCANS, Lane.LARGE]
    assert _lines(system) == [1, 1, 0]


def test_what_redis_lost_goes_back_where_it_was(system: System) -> None:
    some = [system.upload(b"x"), system.upload(b"x" * LARGE_SIZE), system.upload_long_ago(b"x", "a.txt")]
    system.flush_queue()
    for scan in some:
        system.amend(scan.id, enqueued_at=clock.now() - timedelta(hours=1))
    assert system.sweep().enqueued == 3
    assert _lines(system) == [1, 1, 1]


def test_what_its_worker_died_of_is_in_front_of_no_small_upload_again(system: System) -> None:
    scan = system.upload(b"x")
    past = clock.now() - timedelta(seconds=1)
    system.amend(scan.id, status="scanning", attempts=1, token="dead", lease_until=past)
    system.flush_queue()
    assert system.sweep().leases_ended == 1
    assert system.scan(scan.id).lane is Lane.LARGE
    assert _lines(system) == [0, 1, 0]


def test_a_retry_of_many_waits_behind_all_and_one_alone_with_its_like(system: System) -> None:
    scan = system.upload(b"x" * LARGE_SIZE)
    _fail(system, scan)
    assert system.operations().retry_all(_held(), ORDER, most=1) == 1
    assert system.scan(scan.id).lane is Lane.BULK
    _fail(system, scan)
    assert system.operations().retry(system.scan(scan.id), ORDER).lane is Lane.LARGE


def _held() -> scans.Filter:
    return scans.Filter(statuses=(Status.FAILED,))


def _fail(system: System, scan: Scan) -> None:
    past = clock.now() - timedelta(seconds=1)
    system.amend(scan.id, status="scanning", attempts=system.settings.max_attempts, token="dead", lease_until=past)
    assert system.sweep().failed == 1


def test_a_worker_of_several_queues_takes_nothing_of_a_later_one_while_an_earlier_one_holds_any(system: System) -> None:
    for lane in reversed(Lane):
        for _ in range(OTHERS):
            system.queue.enqueue(clock.new_id(), lane)
    taken: list[str] = []

    def take(_body: object, message: Message) -> None:
        taken.append(message.delivery_info["routing_key"])
        message.ack()

    app = make_celery(system.settings)
    queues = [app.amqp.queues[lane.value] for lane in reversed(Lane)]
    with app.connection_for_read() as connection, connection.Consumer(queues, callbacks=[take], accept=["json"]):
        while len(taken) < OTHERS * len(Lane):
            connection.drain_events(timeout=5)
    app.close()
    assert taken == [lane.value for lane in Lane for _ in range(OTHERS)]
