"""What is away, full or silent costs no file an attempt, and what waits for it waits quietly."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from tests.calendar import Calendar
from tests.system import System
from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.scan import Status
from worker.store.database import Database

MIB = 2**20
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
WAITING = ["receiving", "queued"]


def test_a_full_disk_costs_no_attempt_and_leaves_nothing(system: System, small_disk: Path) -> None:
    cramped = system.with_settings(scratch_dir=small_disk, memory_limit=0)
    scan = cramped.upload(PDF.ljust(3 * MIB), "report.pdf")
    others = small_disk / "others"
    others.write_bytes(bytes(2 * MIB))
    waiting = cramped.work(scan.id)
    assert (waiting.status, waiting.attempts) == (Status.QUEUED, 0)
    assert waiting.error is not None
    assert waiting.error["code"] == "scratch_full"
    assert list(small_disk.iterdir()) == [others]
    assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize == 2 * MIB, "nothing nameless either"
    others.unlink()
    system.amend(scan.id, due_at=None)
    assert cramped.work(scan.id).status is Status.CLEAN
    cramped.parts.close()


def test_a_file_that_the_disk_could_never_hold_ends_failed(system: System, small_disk: Path) -> None:
    cramped = system.with_settings(scratch_dir=small_disk, memory_limit=0)
    scan = cramped.outcome(PDF.ljust(5 * MIB), "report.pdf")
    assert scan.status is Status.FAILED
    assert scan.error is not None
    assert scan.error["code"] == "permanent_fault"
    cramped.parts.close()


def _noise() -> bytes:
    """An image of about 3 MiB, which gets no smaller."""
    out = io.BytesIO()
    Image.effect_noise((1600, 1200), 100).convert("RGB").save(out, "PNG")
    assert 2 * MIB < len(out.getvalue()) < 4 * MIB
    return out.getvalue()


@pytest.mark.parametrize("small_disk", [16], indirect=True)
def test_a_disk_that_fills_while_an_image_is_encoded_is_no_finding(system: System, small_disk: Path) -> None:
    (small_disk / "others").write_bytes(bytes(12 * MIB))
    cramped = system.with_settings(scratch_dir=small_disk, memory_limit=0)
    scan = cramped.outcome(_noise(), "noise.png")
    assert (scan.status, scan.attempts, scan.reasons) == (Status.QUEUED, 0, ())
    assert scan.error is not None
    assert scan.error["code"] == "scratch_full"
    cramped.parts.close()


def test_an_image_that_the_disk_could_never_hold_twice_ends_failed(
    system: System, small_disk: Path, calendar: Calendar
) -> None:
    cramped = system.with_settings(scratch_dir=small_disk, memory_limit=0)
    scan = cramped.outcome(_noise(), "noise.png")
    for attempt in (1, 2):
        assert (scan.status, scan.attempts) == (Status.QUEUED, attempt)
        calendar.pass_time(60)
        scan = cramped.work(scan.id)
    assert scan.status is Status.FAILED
    assert scan.error is not None
    assert scan.error["code"] == "scratch_outgrown"
    assert list(small_disk.iterdir()) == []
    cramped.parts.close()


def test_scratch_that_is_not_there_costs_no_attempt(system: System, tmp_path: Path) -> None:
    lost = system.with_settings(scratch_dir=tmp_path / "nowhere", memory_limit=0)
    scan = lost.outcome(PDF, "report.pdf")
    assert (scan.status, scan.attempts) == (Status.QUEUED, 0)
    lost.parts.close()


def test_while_no_scanner_takes_work_scans_wait_unclaimed_and_ever_longer(system: System) -> None:
    blind = system.with_settings(clamd=("unix:///nowhere/clamd.sock",))
    scan = blind.upload(PDF, "report.pdf")
    pauses = []
    for _ in range(4):
        waiting = blind.work(scan.id)
        assert waiting.due_at is not None
        pauses.append(waiting.due_at - clock.now())
        system.amend(scan.id, due_at=None)
    assert all(longer > shorter for shorter, longer in zip(pauses[::2], pauses[2::2], strict=False))
    assert (waiting.attempts, waiting.setbacks, system.path(scan.id)) == (0, 4, WAITING)
    assert waiting.error is not None
    assert waiting.error["code"] == "scanner_unavailable"
    ended = system.work(scan.id)
    assert (ended.status, ended.setbacks, ended.error) == (Status.CLEAN, 0, None)
    blind.parts.close()


def test_a_store_that_is_away_is_asked_before_the_next_scan_is_claimed(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = system.upload(PDF, "report.pdf"), system.upload(PDF, "report.pdf")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
        system.objects = ObjectStore(connect_timeout=0.5, timeout=1)
        lost = system.with_settings(home=system.settings.home)
        assert lost.work(first.id).attempts == 0
        assert len(system.path(first.id)) == 4, "claimed, and given back"
        assert lost.work(second.id).error is not None
        assert system.path(second.id) == WAITING
        lost.parts.close()


@pytest.mark.parametrize("fault", ["no such bucket", "no such key"])
def test_a_store_that_refuses_us_costs_no_file_an_attempt(
    system: System, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Somebody changed the keys, or the name of a bucket: the whole backlog must be there when that is mended."""
    first, second = system.upload(PDF, "report.pdf"), system.upload(PDF, "report.pdf")
    with monkeypatch.context() as patch:
        if fault == "no such key":
            patch.setenv("AWS_ACCESS_KEY_ID", "stranger")
        refused = replace(system, objects=ObjectStore(connect_timeout=2, timeout=5))
        bucket = "nowhere" if fault == "no such bucket" else system.settings.quarantine_bucket
        refused = refused.with_settings(quarantine_bucket=bucket)
    for scan, steps in ((first, 4), (second, 2)):
        waiting = refused.work(scan.id)
        assert (waiting.status, waiting.attempts) == (Status.QUEUED, 0)
        assert waiting.error is not None
        assert (waiting.error["code"], waiting.error["retryable"]) == ("object_store_refuses", True)
        assert len(system.path(scan.id)) == steps, "the first is claimed and given back, the others wait"
        system.amend(scan.id, due_at=None)
        assert system.work(scan.id).status is Status.CLEAN
    refused.parts.close()


def test_a_claim_survives_an_outage_of_the_database(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault that the outage is cannot be put on record while it lasts; then it costs no attempt."""
    scan = system.upload(PDF, "report.pdf")
    inspect, write = system.parts.pipeline._inspector.inspect, Database.write
    away = iter([True, True, True])

    def broken(self: Database) -> object:
        return write(Database("postgresql://nobody@127.0.0.1:1/none") if next(away, False) else self)

    def outage(*arguments: object) -> object:
        monkeypatch.setattr(Database, "write", broken)
        return inspect(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(system.parts.pipeline._inspector, "inspect", outage)
    back = system.work(scan.id)
    assert (back.status, back.attempts) == (Status.QUEUED, 0)
    assert back.error is not None
    assert back.error["code"] == "database_unavailable"


def test_after_an_outage_of_the_database_everybody_gets_time_to_come_back(
    system: System, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could renew a lease meanwhile; their scans must not count as lost, nor their uploads as abandoned."""
    scan, upload = system.upload(PDF, "report.pdf"), system.upload(PDF, "report.pdf")
    past = clock.now() - timedelta(seconds=1)
    system.amend(scan.id, status="scanning", token="alive", lease_until=past)
    system.amend(upload.id, status="receiving", lease_until=past)
    sweeper = system.sweeper()
    with monkeypatch.context() as patch:
        patch.setattr(sweeper, "_database", Database("postgresql://nobody@127.0.0.1:1/none"))
        with pytest.raises(Exception, match="does not answer"):
            sweeper.sweep()
    swept = sweeper.sweep()
    assert (swept.leases_ended, swept.abandoned) == (0, 0)
    sweeper._patient_until = 0
    swept = sweeper.sweep()
    assert (swept.leases_ended, swept.abandoned) == (1, 1)
