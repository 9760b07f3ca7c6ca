"""Intake on real services: streamed, hashed, limited, and nothing left behind by what breaks off."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from pydantic import SecretStr

from tests.calendar import Calendar
from tests.system import System, chunks, incoming
from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.body import FileTooLarge, UploadStalled
from worker.canaries import eicar
from worker.errors import DatabaseUnavailable, StoreUnavailable
from worker.intake import Intake, UploadOvertaken
from worker.keys import sealed_key
from worker.operations import Order
from worker.scan import Mover, Scan, Status
from worker.settings import MIB


@pytest.fixture
def small_policy(system: System, tmp_path: Path) -> System:
    """The same system with a limit of 6 MiB and the smallest parts."""
    path = tmp_path / "policy.toml"
    path.write_text('[default]\ntypes = ["text/plain"]\nmax_size = "6 MiB"\nmax_pixels = 1\nmax_frames = 1\n')
    system.settings = system.settings.model_copy(update={"policy_file": path, "part_size": 5 * MIB})
    return system


def _multipart_uploads(system: System) -> int:
    return len(boto3.client("s3").list_multipart_uploads(Bucket=system.settings.quarantine_bucket).get("Uploads", []))


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 24 * MIB])
def test_what_is_recorded_is_what_lies_there(system: System, size: int) -> None:
    data = os.urandom(size)
    scan = system.upload(data, "a.bin")
    assert (scan.status, scan.size, scan.sha256) == (Status.QUEUED, size, hashlib.sha256(data).hexdigest())
    assert scan.etag is not None
    assert scan.quarantine_key is not None
    stored = system.objects.fetch(system.settings.quarantine_bucket, scan.quarantine_key, scan.etag)
    assert hashlib.sha256(b"".join(stored)).hexdigest() == scan.sha256
    assert system.path(scan.id) == ["receiving", "queued"]
    assert system.queue.waiting(scan.lane) == 1


@pytest.mark.parametrize("announced", [None, 6 * MIB + 1], ids=["streamed", "announced"])
def test_a_file_above_the_limit_ends_rejected_and_leaves_nothing(small_policy: System, announced: int | None) -> None:
    system = small_policy
    seen = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal seen
        async for chunk in chunks(b"x" * (50 * MIB)):
            seen += len(chunk)
            yield chunk

    with pytest.raises(FileTooLarge, match="6291456 bytes"):
        asyncio.run(system.intake().receive(incoming(size=announced), body(), dict))
    assert seen <= (0 if announced else 6 * MIB + 65536), "reading went on after the limit was crossed"
    scan = system.newest()
    assert (scan.status, [reason.code for reason in scan.reasons]) == (Status.REJECTED, ["file_too_large"])
    assert scan.quarantine_key is None
    assert system.quarantined() == []
    assert _multipart_uploads(system) == 0


def test_a_file_at_the_limit_is_taken(small_policy: System) -> None:
    assert small_policy.upload(b"x" * (6 * MIB)).status is Status.QUEUED


@pytest.mark.parametrize("size", [1000, 6 * MIB - 1])
def test_a_client_that_hangs_up_leaves_nothing_behind(small_policy: System, size: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        async for chunk in chunks(b"x" * size):
            yield chunk
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(small_policy.intake().receive(incoming(), body(), dict))
    assert small_policy.newest().status is Status.EXPIRED
    assert small_policy.quarantined() == []
    assert _multipart_uploads(small_policy) == 0


def test_a_cancelled_request_leaves_nothing_behind(small_policy: System) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * (5 * MIB)
        await asyncio.Event().wait()
        yield b""

    async def cancelled() -> None:
        task = asyncio.create_task(small_policy.intake().receive(incoming(), body(), dict))
        while _multipart_uploads(small_policy) == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert small_policy.newest().status is Status.EXPIRED
    assert _multipart_uploads(small_policy) == 0


def test_an_upload_that_sends_nothing_ends(system: System) -> None:
    system.settings = system.settings.model_copy(update={"upload_idle_timeout": 0.2})

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    with pytest.raises(UploadStalled):
        asyncio.run(system.intake().receive(incoming(), body(), dict))
    assert system.newest().status is Status.EXPIRED


def test_an_upload_that_drips_ends(system: System) -> None:
    """No pause is too long, and it would go on for years: each holds a connection, a row and a lease meanwhile."""
    system.settings = system.settings.model_copy(update={"upload_idle_timeout": 0.5})
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b"x"
            await asyncio.sleep(0.1)

    with pytest.raises(UploadStalled):
        asyncio.run(system.intake().receive(incoming(), body(), dict))
    assert sent < 10
    assert system.newest().status is Status.EXPIRED


def test_an_upload_that_is_slow_but_goes_on_is_taken(system: System) -> None:
    system.settings = system.settings.model_copy(update={"upload_idle_timeout": 1})

    async def body() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(1024)
            await asyncio.sleep(0.2)

    scan = asyncio.run(system.intake().receive(incoming(), body(), dict))
    assert (scan.status, scan.size) == (Status.QUEUED, 8192)


def test_the_row_exists_before_the_bytes(system: System) -> None:
    seen = []

    async def body() -> AsyncIterator[bytes]:
        seen.append(system.newest().status)
        yield b"x"

    asyncio.run(system.intake().receive(incoming(), body(), dict))
    assert seen == [Status.RECEIVING]


def test_uploads_are_taken_while_redis_is_down_and_found_by_the_sweeper(system: System) -> None:
    away = system.with_settings(redis_url=SecretStr("redis://127.0.0.1:1/0"))
    scan = away.upload(b"hello")
    assert scan.status is Status.QUEUED
    assert system.scan(scan.id).enqueued_at is None
    assert system.queue.waiting() == 0
    assert system.sweep().enqueued == 1
    assert system.queue.waiting() == 1
    assert system.work(scan.id).status is Status.CLEAN


def test_a_store_that_is_away_is_told_and_nothing_is_half_recorded(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    system.objects = ObjectStore(connect_timeout=0.5, timeout=1)
    with pytest.raises(StoreUnavailable):
        system.upload(b"hello")
    left = system.newest()
    assert (left.status, left.quarantine_key) == (Status.EXPIRED, f"sealed/{left.id}")
    assert system.queue.waiting() == 0


def test_what_could_not_be_discarded_is_left_to_the_sweeper(system: System, objects: ObjectStore) -> None:
    scan = system.upload(b"hello")
    past = clock.now() - timedelta(minutes=5)
    system.amend(scan.id, status="expired", finished_at=past, tidy_at=past)
    assert system.quarantined() == [scan.quarantine_key]
    assert system.sweep().tidied == 1
    assert system.quarantined() == []
    assert system.scan(scan.id).quarantine_key is None


def test_an_upload_that_the_sweeper_gave_up_leaves_nothing(system: System) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"late"
        system.amend(system.newest().id, status="expired", finished_at=clock.now())

    with pytest.raises(UploadOvertaken):
        asyncio.run(system.intake().receive(incoming(), body(), dict))
    assert system.quarantined() == []
    assert system.newest().tidy_at is not None, "another call of ours may still be under way"


def test_an_upload_whose_parts_were_thrown_away_can_be_sent_again(small_policy: System) -> None:
    """It was given up meanwhile; that the store knows nothing of it any more is no fault of ours."""
    system = small_policy

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * (5 * MIB)
        while _multipart_uploads(system) == 0:
            await asyncio.sleep(0.01)
        system.amend(system.newest().id, status="expired", finished_at=clock.now(), tidy_at=clock.now())
        system.sweep()
        yield b"x"

    with pytest.raises(UploadOvertaken):
        asyncio.run(system.intake().receive(incoming(), body(), dict))
    assert (system.quarantined(), _multipart_uploads(system)) == ([], 0)


@pytest.mark.parametrize("ending", ["in parts", "at once"])
def test_an_upload_that_was_erased_and_then_broke_off_leaves_nothing(
    small_policy: System, calendar: Calendar, ending: str
) -> None:
    """The sweeper was there in between, and found nothing."""
    system = small_policy
    operations = system.operations()

    def erase() -> None:
        operations.erase(system.newest(), Order("service:default", Mover.SERVICE, "request-2"))
        calendar.pass_time(system.settings.receive_lease + 1)
        system.sweep()
        assert system.newest().tidy_at is None

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * MIB
        await asyncio.to_thread(erase)
        if ending == "in parts":
            yield b"x" * (5 * MIB - MIB)
            while _multipart_uploads(system) == 0:
                await asyncio.sleep(0.01)
            raise ConnectionResetError

    class Lossy(ObjectStore):
        """A store that does what it was asked to, and whose answer is lost."""

        def put(self, bucket: str, key: str, body: bytes) -> str:
            super().put(bucket, key, body)
            raise StoreUnavailable

    if ending == "at once":
        system.objects = Lossy(connect_timeout=2, timeout=10)
    with pytest.raises((ConnectionResetError, StoreUnavailable)):
        asyncio.run(system.intake().receive(incoming(), body(), dict))
    system.recover(calendar)
    assert (system.newest().status, system.quarantined(), _multipart_uploads(system)) == (Status.ERASED, [], 0)


def test_a_call_to_a_slow_store_that_lands_after_the_scan_leaves_nothing(system: System, calendar: Calendar) -> None:
    """boto3 has asked again meanwhile, and the upload was taken in, scanned and deleted."""

    class Slow(ObjectStore):
        """A store that answers only when it is asked a second time."""

        def put(self, bucket: str, key: str, body: bytes) -> str:
            time.sleep(1)
            return super().put(bucket, key, body)

    slow = replace(system, settings=system.settings.model_copy(update={"s3_timeout": 1.0}))
    slow.objects = Slow(connect_timeout=2, timeout=10)
    scan = slow.upload(eicar())
    assert system.work(scan.id).status is Status.INFECTED
    system.objects.put(system.settings.quarantine_bucket, sealed_key(scan.id), eicar())
    system.recover(calendar)
    assert (system.quarantined(), system.scan(scan.id).tidy_at) == ([], None)
    assert system.upload(b"hello").tidy_at is None, "a store that answers at once is not asked again"


def test_an_upload_whose_acceptance_nobody_heard_of_keeps_its_bytes(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to COMMIT was lost, and a worker was quicker than our doubt."""
    accept = Intake._accept

    def lost(self: Intake, *arguments: object) -> Scan:
        scan = accept(self, *arguments)  # type: ignore[arg-type]
        system.amend(scan.id, status="unscannable", finished_at=clock.now())
        raise DatabaseUnavailable

    monkeypatch.setattr(Intake, "_accept", lost)
    with pytest.raises(DatabaseUnavailable):
        system.upload(b"hello")
    kept = system.newest()
    assert (kept.status, kept.tidy_at, system.quarantined()) == (Status.UNSCANNABLE, None, [kept.quarantine_key])


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\0b", "文件.txt", "x" * 5000, "", "\ud800", "\u202egpj.exe"])
def test_names_are_recorded_and_never_a_key(system: System, name: str) -> None:
    scan = system.upload(b"hello", name)
    assert system.scan(scan.id).filename == scan.filename
    assert len(scan.filename) <= 4096
    assert system.quarantined() == [f"sealed/{scan.id}"]


def test_metadata_is_asked_after_the_last_byte(system: System) -> None:
    late: dict[str, str] = {}

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        late["order"] = "after"

    scan = asyncio.run(system.intake().receive(incoming(), body(), lambda: dict(late)))
    assert system.scan(scan.id).metadata == {"order": "after"}
