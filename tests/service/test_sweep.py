"""The sweeper: everything that was lost is found, and nothing else is touched."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta

import boto3
import pytest
import redis
from typer.testing import CliRunner

from ops.cli import app
from tests.calendar import Calendar
from tests.system import System
from worker import clock, sweep, sweep_buckets
from worker.adapters.object_store import ObjectStore
from worker.canaries import eicar, encrypted_zip
from worker.errors import LazarettoError, Permanent, QueueUnavailable, StoreRefuses, StoreUnavailable
from worker.scan import Status
from worker.store import tables
from worker.sweep import Swept

LONG_AGO = timedelta(minutes=5)


def _grow_old(system: System, *scan_ids: str) -> None:
    """Make a backlog five minutes old: its messages, and its records."""
    moment = clock.now() - LONG_AGO
    with redis.Redis.from_url(system.settings.redis_url.get_secret_value()) as client:
        for at, raw in enumerate(client.lrange("scans", 0, -1)):
            message = json.loads(raw)
            message["headers"]["lazaretto_enqueued_at"] = moment.isoformat()
            client.lset("scans", at, json.dumps(message))
    for scan_id in scan_ids:
        system.amend(scan_id, enqueued_at=moment)


def test_a_backlog_that_merely_waits_is_left_alone(system: System) -> None:
    _grow_old(system, *[system.upload(b"hello").id for _ in range(3)])
    assert system.sweep() == Swept()
    assert system.queue.waiting() == 3


def test_what_redis_lost_is_enqueued_again_and_only_once(system: System) -> None:
    scan = system.upload(b"hello")
    with redis.Redis.from_url(system.settings.redis_url.get_secret_value()) as client:
        client.flushdb()
    assert system.sweep().enqueued == 0, "within the grace a task may be on its way"
    system.amend(scan.id, enqueued_at=clock.now() - LONG_AGO)
    assert system.sweep().enqueued == 1
    assert system.sweep().enqueued == 0
    assert system.queue.waiting() == 1


@pytest.mark.parametrize(
    "message",
    ["no JSON", "[]", '{"headers": {}}', '{"headers": {"lazaretto_enqueued_at": "2026-11-25T04:00:00"}}'],
)
def test_somebody_elses_message_in_the_queue_stops_no_sweep(system: System, message: str) -> None:
    """Nothing is known to be lost before it has gone."""
    scan = system.upload(b"hello")
    with redis.Redis.from_url(system.settings.redis_url.get_secret_value()) as client:
        client.flushdb()
        client.lpush("scans", message)
        system.amend(scan.id, enqueued_at=clock.now() - LONG_AGO)
        assert system.sweep() == Swept()
        client.delete("scans")
    assert system.sweep().enqueued == 1


def test_what_was_lost_is_found_behind_a_backlog(system: System) -> None:
    lost = system.upload(b"lost")
    with redis.Redis.from_url(system.settings.redis_url.get_secret_value()) as client:
        client.flushdb()
    system.amend(lost.id, enqueued_at=clock.now() - LONG_AGO)
    waiting = system.upload(b"waiting")
    assert system.sweep().enqueued == 1
    assert system.scan(waiting.id).enqueued_at == waiting.enqueued_at


def test_what_is_not_due_waits(system: System) -> None:
    scan = system.upload(b"hello")
    system.amend(scan.id, enqueued_at=None, due_at=clock.now() + LONG_AGO)
    assert system.sweep() == Swept()
    system.amend(scan.id, due_at=clock.now())
    assert system.sweep().enqueued == 1


def test_a_lost_worker_s_scan_starts_over_and_fails_in_the_end(system: System) -> None:
    scan = system.upload(b"hello")
    past = clock.now() - timedelta(seconds=1)
    for attempt in (1, 2):
        system.amend(scan.id, status="scanning", attempts=attempt, token="dead", lease_until=past)
        assert system.sweep().leases_ended == 1
        swept = system.scan(scan.id)
        assert (swept.status, swept.token) == (Status.QUEUED, None)
    system.amend(scan.id, status="scanning", attempts=3, token="dead", lease_until=past)
    assert system.sweep().failed == 1
    ended = system.scan(scan.id)
    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert ended.error["message"] == "worker lost 3 times"
    assert len(system.quarantined()) == 1


def test_attempts_that_failed_otherwise_are_not_told_as_lost_workers(system: System) -> None:
    scan = system.upload(b"hello")
    past = clock.now() - timedelta(seconds=1)
    for attempt in (2, 3):
        system.amend(scan.id, status="scanning", attempts=attempt, token="dead", lease_until=past)
        system.sweep()
    ended = system.scan(scan.id)
    assert ended.status is Status.FAILED
    assert (ended.error or {})["message"] == "worker lost 2 times in 3 attempts"


def test_a_living_worker_s_scan_is_left_alone(system: System) -> None:
    scan = system.upload(b"hello")
    system.amend(scan.id, status="scanning", token="alive", lease_until=clock.now() + LONG_AGO)
    assert system.sweep() == Swept()


def test_settling_that_was_left_is_handed_over(system: System) -> None:
    scan = system.upload(b"hello")
    past = clock.now() - LONG_AGO
    system.amend(scan.id, status="settling", verdict="unscannable", lease_until=past, enqueued_at=past)
    with redis.Redis.from_url(system.settings.redis_url.get_secret_value()) as client:
        client.flushdb()
    assert system.sweep().enqueued == 1
    assert system.work(scan.id).status is Status.UNSCANNABLE


def test_an_abandoned_upload_expires_with_its_parts(system: System) -> None:
    scan = system.upload(b"hello")
    bucket, key = system.settings.quarantine_bucket, f"sealed/{scan.id}"
    upload = system.objects.begin(bucket, key)
    system.objects.put_part(bucket, key, upload, 1, b"part")
    system.amend(scan.id, status="receiving", lease_until=clock.now() - LONG_AGO)
    assert (swept := system.sweep()).abandoned == 1
    assert swept.tidied == 0, "somebody may still be writing"
    system.amend(scan.id, finished_at=clock.now() - LONG_AGO, tidy_at=clock.now() - LONG_AGO)
    assert system.sweep().tidied == 1
    assert system.sweep() == Swept()
    ended = system.scan(scan.id)
    assert (ended.status, ended.quarantine_key) == (Status.EXPIRED, None)
    assert system.quarantined() == []
    assert not boto3.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_what_was_held_too_long_expires_by_the_next_decision(system: System, calendar: Calendar) -> None:
    held, failed = system.outcome(encrypted_zip(), "secret.zip"), system.upload(b"hello")
    system.amend(failed.id, status="failed", finished_at=clock.now())
    calendar.pass_time(29 * 86400)
    assert system.sweep().expired == 0
    calendar.pass_time(2 * 86400)
    assert system.sweep().expired == 2
    for scan_id in (held.id, failed.id):
        ended = system.scan(scan_id)
        assert (ended.status, ended.decision, ended.quarantine_key) == (Status.EXPIRED, 2, None)
    assert system.story(held.id)[-1].reason == "held for 30 days"
    assert system.quarantined() == []


def test_a_stale_multipart_upload_is_aborted_in_either_bucket(system: System, calendar: Calendar) -> None:
    for bucket in (system.settings.quarantine_bucket, system.settings.clean_bucket):
        system.objects.begin(bucket, "incoming/default/k")
    assert system.sweep() == Swept()
    calendar.pass_time(system.settings.receive_timeout + 60)
    sweeper = system.sweeper()
    assert sweeper.sweep() == Swept(uploads_aborted=2)
    system.objects.begin(system.settings.clean_bucket, "k")
    calendar.pass_time(system.settings.receive_timeout + 60)
    assert sweeper.sweep() == Swept(), "buckets are not listed every five seconds"


@pytest.mark.parametrize("fault", [Permanent, StoreUnavailable, StoreRefuses])
def test_scans_that_cannot_be_tidied_hold_up_no_other(
    system: System, calendar: Calendar, monkeypatch: pytest.MonkeyPatch, fault: type[LazarettoError]
) -> None:
    *stubborn, last = [system.outcome(eicar(), "a.com") for _ in range(sweep_buckets._FAULTS + 1)]
    for scan in (*stubborn, last):
        system.amend(scan.id, tidy_at=clock.now())
    calendar.pass_time(60)
    delete = ObjectStore.delete

    def refused(self: ObjectStore, bucket: str, key: str) -> None:
        if last.id not in key:
            raise fault
        delete(self, bucket, key)

    monkeypatch.setattr(ObjectStore, "delete", refused)
    with pytest.raises(fault):
        system.sweep()
    assert all((system.scan(scan.id).tidy_at or clock.now()) > clock.now() for scan in stubborn), "put off"
    assert system.sweep().tidied == 1
    assert system.scan(last.id).tidy_at is None


def test_a_failing_step_keeps_no_other_from_its_work(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = system.upload(b"hello")
    system.amend(scan.id, status="scanning", attempts=1, token="dead", lease_until=clock.now() - LONG_AGO)
    monkeypatch.setattr(system.queue, "enqueue", lambda _scan_id, _lane: (_ for _ in ()).throw(QueueUnavailable()))
    with pytest.raises(QueueUnavailable):
        system.sweep()
    back = system.scan(scan.id)
    assert (back.status, back.enqueued_at) == (Status.QUEUED, None)


def test_the_scans_that_redis_lost_are_enqueued_by_the_thousand(system: System) -> None:
    count = sweep._BATCH + 3
    first = system.upload(b"hello")
    row = {"enqueued_at": None, "status": "queued"}
    with system.database.write() as connection:
        template = dict(connection.execute(tables.scans.select()).mappings().one())
        copies = [template | row | {"id": clock.new_id()} for _ in range(count - 1)]
        connection.execute(tables.scans.insert(), copies)
    system.amend(first.id, **row)
    system.flush_queue()
    assert system.sweep().enqueued == count
    assert system.queue.waiting() == count


def test_sweepers_that_run_at_once_hand_each_scan_over_once(system: System) -> None:
    scans = [system.upload(b"hello").id for _ in range(20)]
    for scan_id in scans:
        system.amend(scan_id, enqueued_at=None)
    system.flush_queue()
    with ThreadPoolExecutor(4) as pool:
        swept = list(pool.map(lambda _: system.sweeper().sweep().enqueued, range(4)))
    assert (sum(swept), system.queue.waiting()) == (len(scans), len(scans))


def test_a_backlog_that_redis_lost_keeps_no_lease_from_ending(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other steps have their turn again after so many scans, however many there are."""
    monkeypatch.setattr(sweep, "_BATCH", 1)
    for _ in range(sweep._MOST_BATCHES + 1):
        system.amend(system.upload(b"hello").id, enqueued_at=None)
    sweeper = system.sweeper()
    assert sweeper.sweep().enqueued == sweep._MOST_BATCHES
    assert sweeper.sweep().enqueued == 1


def test_superseded_objects_are_removed_and_those_of_a_later_decision_are_not(
    system: System, calendar: Calendar
) -> None:
    """A late worker wrote the first; an operator's next decision has just begun to write the last."""
    scan = system.outcome(b"hello")
    assert scan.promoted is not None
    late, later = f"default/{scan.id}/2-1", f"default/{scan.id}/1-2"
    for key in (late, later, f"default/{scan.id}/readme"):
        system.objects.put(system.settings.clean_bucket, key, b"x")
    system.amend(scan.id, tidy_at=clock.now())
    calendar.pass_time(60)
    assert system.sweep().tidied == 1
    assert system.promoted() == sorted([scan.promoted.key, later, f"default/{scan.id}/readme"])


def test_the_command_says_what_it_did_in_numbers(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.cli.sweep.load", lambda: system.settings)
    monkeypatch.setattr("worker.telemetry.configure", lambda: None)  # it would hold on to the runner's stderr
    scan = system.upload(b"hello")
    system.amend(scan.id, enqueued_at=None)
    numbers = json.loads(CliRunner().invoke(app, ["sweep", "--json"]).output.splitlines()[-1])
    assert numbers == asdict(Swept(enqueued=1))
    assert "enqueued         0" in CliRunner().invoke(app, ["sweep"]).output
