"""The worker's path on real services: each outcome, and what redelivery, swaps and outages do to it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from PIL import Image

from tests.corpus.archive_makers import empty_entries
from tests.system import System
from worker import clock
from worker.assembly import make_sandbox
from worker.canaries import eicar, encrypted_zip, nested_zip
from worker.scan import ReasonCode, Status
from worker.scratch import Scratch
from worker.tasks import Parts

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def _jpeg(gps: bool = True) -> bytes:
    exif = Image.Exif()
    if gps:
        exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    out = io.BytesIO()
    Image.effect_noise((320, 240), 40).convert("RGB").save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


def _zip(method: int) -> bytes:
    """EICAR where ClamAV does not unpack it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        packed.writestr("eicar.com", eicar())
    return out.getvalue()


def test_a_document_is_promoted_as_it_is(system: System) -> None:
    scan = system.outcome(PDF, "report.pdf", "application/pdf")
    assert (scan.status, scan.detected_type, scan.reasons) == (Status.CLEAN, "application/pdf", ())
    assert system.read(scan) == PDF
    assert scan.promoted is not None
    assert scan.promoted.sha256 == scan.sha256 == hashlib.sha256(PDF).hexdigest()
    assert system.quarantined() == []
    assert system.promoted() == [f"default/{scan.id}/1-1"]
    assert system.path(scan.id) == ["receiving", "queued", "scanning", "settling", "clean"]


def test_a_promoted_object_says_what_it_is_and_is_never_shown_in_a_page(system: System) -> None:
    scan = system.outcome(PDF, "report.pdf")
    assert scan.promoted is not None
    head = boto3.client("s3").head_object(Bucket=scan.promoted.bucket, Key=scan.promoted.key)
    assert (head["ContentType"], head["ContentDisposition"]) == ("application/pdf", "attachment")
    assert head["Metadata"] == {"scan-id": scan.id, "sha256": scan.sha256, "signatures": "development"}


def test_the_record_says_who_looked_and_by_which_policy(system: System) -> None:
    scan = system.outcome(PDF, "report.pdf")
    assert scan.scanner is not None
    assert scan.scanner.engine.startswith("ClamAV ")
    assert scan.scanner.development
    assert scan.scanner.database is None
    assert scan.policy


def test_a_scanner_is_spared_what_would_keep_it_busy_for_minutes(system: System) -> None:
    """clamd takes 90 seconds for a third of these, counts none of them, and says OK in the end."""
    scan = system.outcome(empty_entries(60_000), "a.zip")
    assert (scan.status, scan.scanner) == (Status.UNSCANNABLE, None)
    assert [reason.code for reason in scan.reasons] == [ReasonCode.SCAN_LIMITS_EXCEEDED]


def test_a_photo_is_promoted_without_its_place(system: System) -> None:
    original = _jpeg()
    assert Image.open(io.BytesIO(original)).getexif()
    scan = system.outcome(original, "photo.jpg", "image/jpeg")
    assert scan.status is Status.CLEAN
    promoted = system.read(scan)
    assert scan.promoted is not None
    assert hashlib.sha256(promoted).hexdigest() == scan.promoted.sha256 != scan.sha256
    assert not Image.open(io.BytesIO(promoted)).getexif()
    assert system.quarantined() == []


@pytest.mark.parametrize(
    ("data", "filename", "status", "code", "bytes_held"),
    [
        (eicar(), "invoice.txt", Status.INFECTED, "signature_found", 0),
        (b"MZ" + bytes(100), "photo.jpg", Status.REJECTED, "type_mismatch", 0),
        (b"#!/bin/sh\nrm -rf /\n", "notes.txt", Status.REJECTED, "type_not_allowed", 0),
        (b"<!DOCTYPE html><html><script>alert(1)</script></html>", "a.txt", Status.REJECTED, "type_not_allowed", 0),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "a.svg", Status.REJECTED, "type_not_allowed", 0),
        (_jpeg()[:5000], "cut.jpg", Status.REJECTED, "image_undecodable", 0),
        (b" " * 6000 + b"<html><script>alert(1)</script>", "a", Status.REJECTED, "type_not_allowed", 0),
        (b"\n<!-- x -->\n<svg onload='alert(1)'/>", "s.txt", Status.REJECTED, "type_not_allowed", 0),
        (b"WScript.Echo(1)", "evil.js ", Status.REJECTED, "type_mismatch", 0),
        (_zip(zipfile.ZIP_LZMA), "lzma.zip", Status.UNSCANNABLE, "scan_limits_exceeded", 1),
        (b"", "empty.txt", Status.REJECTED, "empty_file", 0),
        (encrypted_zip(), "secret.zip", Status.UNSCANNABLE, "encrypted", 1),
        (nested_zip(), "deep.zip", Status.UNSCANNABLE, "scan_limits_exceeded", 1),
    ],
)
def test_what_is_not_clean_is_deleted_or_held(
    system: System, data: bytes, filename: str, status: Status, code: str, bytes_held: int
) -> None:
    scan = system.outcome(data, filename)
    assert scan.status is status
    assert code in [reason.code for reason in scan.reasons]
    assert len(system.quarantined()) == bytes_held
    assert system.promoted() == []
    assert scan.promoted is None
    assert system.path(scan.id)[-2:] == ["settling", status.value]


def test_signatures_are_named(system: System) -> None:
    scan = system.outcome(eicar(), "a.com")
    assert len(scan.signatures) == 1
    assert "Eicar" in scan.signatures[0]


def test_an_image_larger_than_memory_goes_through_scratch_and_leaves_none(system: System, tmp_path: Path) -> None:
    on_disk = system.with_settings(memory_limit=0)
    before = set(tmp_path.iterdir())
    assert on_disk.outcome(_jpeg(), "photo.jpg").status is Status.CLEAN
    on_disk.parts.close()
    assert set(tmp_path.iterdir()) == before


def test_a_second_delivery_changes_nothing(system: System) -> None:
    scan = system.outcome(PDF, "report.pdf")
    again = system.work(scan.id)
    assert again == scan
    assert len(system.story(scan.id)) == 5


def test_a_task_for_a_scan_that_is_not_there_is_harmless(system: System) -> None:
    present = system.upload(PDF, "report.pdf")
    system.parts.pipeline.run("no-such-scan")
    assert system.scan(present.id) == present
    assert len(system.quarantined()) == 1


def test_a_running_scan_is_not_claimed_again(system: System) -> None:
    scan = system.upload(PDF, "report.pdf")
    system.amend(scan.id, status="scanning", token="somebody", lease_until=clock.now() + timedelta(minutes=1))
    assert system.work(scan.id).status is Status.SCANNING
    assert system.scan(scan.id).token == "somebody"


@pytest.mark.parametrize("other", [PDF + b"more", PDF.replace(b"1 0 obj", b"2 0 obj")], ids=["longer", "same size"])
def test_other_bytes_in_quarantine_are_never_promoted(system: System, other: bytes) -> None:
    scan = system.upload(PDF, "report.pdf")
    assert scan.quarantine_key is not None
    system.objects.put(system.settings.quarantine_bucket, scan.quarantine_key, other)
    ended = system.work(scan.id)
    assert (ended.status, [reason.code for reason in ended.reasons]) == (Status.REJECTED, ["content_changed"])
    assert (ended.verdict, ended.promoted, ended.quarantine_key) == (Status.REJECTED, None, None)
    assert system.quarantined() == system.promoted() == []


def test_other_bytes_under_the_same_etag_are_never_promoted(system: System) -> None:
    """An ETag alone proves nothing: two files with colliding MD5 share it."""
    scan = system.upload(PDF, "report.pdf")
    assert scan.quarantine_key is not None
    etag = system.objects.put(system.settings.quarantine_bucket, scan.quarantine_key, PDF.replace(b"1 0", b"2 0"))
    system.amend(scan.id, etag=etag)
    assert [reason.code for reason in system.work(scan.id).reasons] == ["content_changed"]
    assert system.promoted() == []


def test_bytes_that_vanished_end_failed_after_the_attempts(system: System) -> None:
    scan = system.upload(PDF, "report.pdf")
    assert scan.quarantine_key is not None
    system.objects.delete(system.settings.quarantine_bucket, scan.quarantine_key)
    for _ in range(system.settings.max_attempts):
        system.amend(scan.id, due_at=None)
        system.work(scan.id)
    ended = system.scan(scan.id)
    assert ended.status is Status.FAILED
    assert ended.error is not None
    assert (ended.error["code"], ended.error["message"]) == ("object_missing", "There is no such object.")
    assert not any("s3://" in event.reason for event in system.story(scan.id)), "our addresses are for the log alone"


def test_a_scanner_that_is_away_burns_no_attempt(system: System) -> None:
    blind = system.with_settings(clamd=("unix:///nowhere/clamd.sock",))
    scan = blind.upload(PDF, "report.pdf")
    for _ in range(5):
        system.amend(scan.id, due_at=None)
        waiting = blind.work(scan.id)
        assert (waiting.status, waiting.attempts) == (Status.QUEUED, 0)
        assert waiting.due_at is not None
    assert waiting.error is not None
    assert waiting.error["code"] == "scanner_unavailable"
    system.amend(scan.id, due_at=None)
    ended = system.work(scan.id)
    assert (ended.status, ended.attempts, ended.error) == (Status.CLEAN, 1, None)
    blind.parts.close()


def test_what_is_not_due_is_not_claimed(system: System) -> None:
    scan = system.upload(PDF, "report.pdf")
    system.amend(scan.id, due_at=clock.now() + timedelta(minutes=1))
    assert system.work(scan.id).status is Status.QUEUED


def test_another_scanner_takes_the_scan(system: System) -> None:
    both = system.with_settings(clamd=("unix:///nowhere/clamd.sock", *system.settings.clamd))
    assert all(both.outcome(PDF, "report.pdf").status is Status.CLEAN for _ in range(6))
    both.parts.close()


def _die_before_settling(system: System, data: bytes, filename: str) -> str:
    """A scan whose worker died once its verdict was on record; nothing of the verdict is carried out."""
    gone = system.with_settings(clean_bucket=system.settings.clean_bucket)
    gone.parts.pipeline._settler._objects = None  # type: ignore[assignment]  # every effect fails from here
    scan = gone.outcome(data, filename)
    assert scan.status is Status.SETTLING
    assert scan.error is not None
    system.amend(scan.id, lease_until=clock.now() - timedelta(seconds=1))
    gone.parts.close()
    return scan.id


@pytest.mark.parametrize(
    ("data", "filename", "status"),
    [(PDF, "report.pdf", Status.CLEAN), (_jpeg(), "photo.jpg", Status.CLEAN), (eicar(), "a.com", Status.INFECTED)],
)
def test_a_recorded_verdict_is_carried_out_without_asking_the_scanner_again(
    system: System, data: bytes, filename: str, status: Status
) -> None:
    scan_id = _die_before_settling(system, data, filename)
    blind = system.with_settings(clamd=("unix:///nowhere/clamd.sock",))
    ended = blind.work(scan_id)
    assert ended.status is status
    assert system.quarantined() == []
    if ended.promoted:
        assert hashlib.sha256(system.read(ended)).hexdigest() == ended.promoted.sha256
    assert system.path(scan_id).count("settling") == 1
    blind.parts.close()


def test_settling_is_not_taken_from_a_living_worker(system: System) -> None:
    scan_id = _die_before_settling(system, PDF, "report.pdf")
    system.amend(scan_id, lease_until=clock.now() + timedelta(minutes=1))
    assert system.work(scan_id).status is Status.SETTLING


def test_settling_finishes_what_was_promoted_and_emptied_already(system: System) -> None:
    """The worker died between its last effect and its last write."""
    done = system.outcome(PDF, "report.pdf")
    past = clock.now() - timedelta(seconds=1)
    key = f"sealed/{done.id}"
    system.amend(done.id, status="settling", finished_at=None, lease_until=past, quarantine_key=key)
    assert system.quarantined() == []
    ended = system.work(done.id)
    assert ended.status is Status.CLEAN
    assert system.read(ended) == PDF


def test_an_image_that_comes_out_differently_is_examined_anew(system: System) -> None:
    scan_id = _die_before_settling(system, _jpeg(), "photo.jpg")
    promoted = system.scan(scan_id).promoted
    assert promoted is not None
    other = {"bucket": promoted.bucket, "key": promoted.key, "size": 1, "sha256": "0" * 64, "type": "image/jpeg"}
    system.amend(scan_id, promoted=other)
    system.amend(scan_id, attempts=system.settings.max_attempts)  # the last one: it must not be stuck for ever
    again = system.work(scan_id)
    assert (again.status, again.verdict, again.promoted) == (Status.QUEUED, None, None)
    assert system.promoted() == []
    system.amend(scan_id, due_at=None)
    assert system.work(scan_id).status is Status.CLEAN


def test_a_source_swapped_before_settling_is_not_promoted(system: System) -> None:
    scan_id = _die_before_settling(system, PDF, "report.pdf")
    system.objects.put(system.settings.quarantine_bucket, f"sealed/{scan_id}", PDF + b"evil")
    ended = system.work(scan_id)
    assert (ended.status, [reason.code for reason in ended.reasons]) == (Status.REJECTED, ["content_changed"])
    assert (ended.verdict, ended.promoted, ended.quarantine_key) == (Status.REJECTED, None, None)
    assert system.quarantined() == system.promoted() == []


def test_a_source_that_vanished_before_it_was_promoted_is_told(system: System) -> None:
    """The verdict cannot be carried out any more; nobody would ever bring the bytes back."""
    scan_id = _die_before_settling(system, PDF, "report.pdf")
    system.objects.delete(system.settings.quarantine_bucket, f"sealed/{scan_id}")
    ended = system.work(scan_id)
    assert (ended.status, [reason.code for reason in ended.reasons]) == (Status.REJECTED, ["content_changed"])
    assert ended.promoted is None


def test_an_image_that_cannot_be_made_again_is_examined_anew(system: System) -> None:
    """A decoder that was replaced meanwhile crashes on it; settling would fail so for ever."""
    scan_id = _die_before_settling(system, _jpeg(), "photo.jpg")
    settings = system.settings.model_copy(update={"sandbox_seconds": 0.001})
    with closing(Parts(settings, system.objects, make_sandbox(settings))) as short:
        short.scan(scan_id)
    again = system.scan(scan_id)
    assert (again.status, again.verdict) == (Status.QUEUED, None)


def test_bytes_that_changed_in_scratch_are_not_promoted(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever could write there after the scan, and whatever a disk does by itself."""
    monkeypatch.setattr(Scratch, "reader", lambda _scratch: io.BufferedReader(io.BytesIO(b"evil")))
    scan = system.outcome(PDF, "report.pdf")
    assert (scan.status, scan.verdict) == (Status.SETTLING, Status.CLEAN)
    assert scan.error is not None
    assert scan.error["code"] == "scratch_changed"
    assert system.promoted() == []
    monkeypatch.undo()
    system.amend(scan.id, lease_until=clock.now() - timedelta(seconds=1))
    assert system.work(scan.id).status is Status.CLEAN
