"""What lay in a bucket before us: each object scanned once, as its service's, and never touched."""

from __future__ import annotations

import getpass
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from ops.cli import app
from tests.audit import audit
from tests.calendar import Calendar
from tests.system import LEGACY as BUCKET
from tests.system import System
from worker import backfill, clock
from worker import settings as settings_module
from worker.adapters.object_store import PART
from worker.adapters.objects import Listed, Place
from worker.backfill import Backfill, OwnBucket, Passed
from worker.canaries import eicar, encrypted_zip
from worker.errors import LazarettoError, NoSuchService, StoreRefuses
from worker.lanes import Lane
from worker.operations import Order
from worker.reconcile import Reconciler
from worker.scan import Cause, Mover, Scan, Status

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
ACTOR = "operator:ann"
Command = Callable[..., Result]
HOSTILE = (
    "<img src=x onerror=alert(1)>.pdf",
    "a b+c%20d&e=f.pdf",
    "rechnung\u202efdp.exe",
    "$(reboot);'\"`.pdf",
    "ü/ö.pdf",
)


@pytest.fixture
def bucket(system: System) -> Iterator[str]:
    """Somebody else's, and empty."""
    yield system.legacy_bucket()
    for key in list(system.objects.keys(BUCKET)):
        system.objects.delete(BUCKET, key)


def _backfill(system: System, prefix: str = "", bucket: str = BUCKET, service: str = "default") -> Backfill:
    return system.backfill(Place(bucket, prefix), service)


def _run(system: System, prefix: str = "") -> Passed:
    *_, last = _backfill(system, prefix).run(ACTOR)
    return last


def _put(system: System, **files: bytes) -> None:
    for key, data in files.items():
        system.objects.put(BUCKET, key, data)


def _originals(system: System) -> dict[str, bytes]:
    found = {each.key: each.etag for each in system.objects.listing(BUCKET, "")}
    return {key: b"".join(system.objects.fetch(BUCKET, key, etag)) for key, etag in found.items()}


def _by_name(system: System) -> dict[str, Scan]:
    return {scan.source_key or "": scan for scan in system.all()}


def test_every_object_is_scanned_and_none_is_touched(system: System, bucket: str, calendar: Calendar) -> None:
    files = {"old/a.pdf": PDF, "old/b.txt": eicar(), "old/c.zip": encrypted_zip(), "old/empty.txt": b""}
    _put(system, **files, **{"old/deep/": b"", "elsewhere/d.pdf": PDF})
    before = _originals(system)
    passed = _run(system, "old/")
    assert (passed.objects, passed.new, passed.recorded, passed.folders, passed.known) == (5, 4, 4, 1, 0)
    assert passed.size == sum(map(len, files.values()))
    assert system.deliver() == 4
    system.recover(calendar)
    outcomes = {key: scan.status for key, scan in _by_name(system).items()}
    assert outcomes == {
        "old/a.pdf": Status.CLEAN,
        "old/b.txt": Status.INFECTED,
        "old/c.zip": Status.UNSCANNABLE,
        "old/empty.txt": Status.REJECTED,
    }
    assert _originals(system) == before
    assert system.read(_by_name(system)["old/a.pdf"]) == PDF
    assert audit(system.database, system.objects, system.settings, {}) == []
    calendar.pass_time(3600)
    assert list(Reconciler(system.database, system.objects, system.settings).findings()) == []


def test_what_the_record_says_of_it(system: System, bucket: str) -> None:
    _put(system, **{"old/report.pdf": PDF})
    _run(system)
    (scan,) = system.all()
    assert (scan.filename, scan.service, scan.status, scan.lane) == ("report.pdf", "default", Status.QUEUED, Lane.BULK)
    assert scan.metadata == {"backfill": f"s3://{BUCKET}/old/report.pdf"}
    (event,) = system.story(scan.id)
    assert (event.source, event.target, event.actor) == (None, "queued", ACTOR)
    assert event.reason == f"backfilled from s3://{BUCKET}/"


def test_repeated_it_goes_on_where_it_stood(system: System, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "_TOGETHER", 3)
    _put(system, **{f"{number}.pdf": PDF + bytes([number]) for number in range(8)})
    assert next(_backfill(system).run(ACTOR)).new == 3
    *_, counted = _backfill(system).count()
    assert (counted.new, counted.known) == (5, 3)
    assert (_run(system).new, _run(system).new) == (5, 0)
    assert len(system.all()) == 8
    _put(system, **{"3.pdf": PDF + b"another"})
    assert _run(system).new == 1, "another object is another scan"


def test_two_at_once_put_each_object_on_record_once(
    system: System, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(system, **{f"{number}.pdf": PDF + bytes([number]) for number in range(4)})
    unknown = Backfill._unknown

    def overtaken(self: Backfill, some: list[Listed]) -> list[Listed]:
        monkeypatch.setattr(Backfill, "_unknown", unknown)
        found = self._unknown(some)
        system.objects.delete(BUCKET, "0.pdf")  # so that the other finds three of them
        assert _run(system).new == 3
        return found

    monkeypatch.setattr(Backfill, "_unknown", overtaken)
    _run(system)
    assert sorted(_by_name(system)) == ["0.pdf", "1.pdf", "2.pdf", "3.pdf"]
    assert len(system.all()) == 4


def test_hostile_keys_are_scanned_like_others(system: System, bucket: str) -> None:
    _put(system, **dict.fromkeys(HOSTILE, PDF))
    assert _run(system).new == len(HOSTILE)
    system.deliver()
    found = _by_name(system)
    assert sorted(found) == sorted(HOSTILE)
    for key, scan in found.items():
        assert scan.filename == key.rpartition("/")[2]
        assert scan.status in (Status.CLEAN, Status.REJECTED), "by what its name says it is"
    assert _run(system).new == 0
    assert sorted(_originals(system)) == sorted(HOSTILE)


def test_keys_that_no_database_holds_are_told(system: System, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [Listed(key, 1, clock.now(), '"e"') for key in ("a\0b", "\udc80", "fine")]
    with monkeypatch.context() as patch:
        patch.setattr(type(system.objects), "listing", lambda *_: iter(listed))
        assert (_run(system).unrecordable, len(system.all())) == (2, 1)


def test_what_is_too_large_is_rejected_and_what_changes_meanwhile_as_well(system: System, bucket: str) -> None:
    small = System.start(system.with_policy("\n[services.default]\nmax_size = 1000\n"), system.objects, system.sandbox)
    _put(system, **{"large.txt": b"x" * 1001, "changes.txt": b"before", "goes.txt": b"soon"})
    _run(system)
    _put(system, **{"changes.txt": b"after"})
    system.objects.delete(BUCKET, "goes.txt")
    small.deliver()
    small.close()
    reasons = {key: [reason.code for reason in scan.reasons] for key, scan in _by_name(system).items()}
    assert reasons == {
        "large.txt": ["file_too_large"],
        "changes.txt": ["content_changed"],
        "goes.txt": ["content_changed"],
    }
    assert system.quarantined() == system.promoted() == []
    assert sorted(_originals(system)) == ["changes.txt", "large.txt"]


def test_an_object_in_parts_is_the_one_that_was_listed(system: System, bucket: str) -> None:
    """Its ETag is no MD5, and is to be the same in a listing and everywhere else."""
    upload = system.objects.begin(BUCKET, "parts.bin")
    first, second = os.urandom(PART), b"the rest"
    parts = [system.objects.put_part(BUCKET, "parts.bin", upload, at, data) for at, data in ((1, first), (2, second))]
    system.objects.complete(BUCKET, "parts.bin", upload, parts, len(first + second))
    _run(system)
    system.deliver()
    (scan,) = system.all()
    assert scan.status is not Status.QUEUED
    assert scan.size == len(first + second)
    assert "content_changed" not in [reason.code for reason in scan.reasons]


def test_erasing_a_backfilled_scan_leaves_the_original(system: System, bucket: str) -> None:
    _put(system, **{"a.pdf": PDF})
    _run(system)
    (scan,) = system.all()
    system.operations().erase(scan, Order("operator:ann", Mover.OPERATOR))
    assert system.scan(scan.id).status is Status.ERASED
    assert _originals(system) == {"a.pdf": PDF}


def test_our_own_buckets_and_unknown_services_are_refused(system: System, bucket: str) -> None:
    for own in (system.settings.quarantine_bucket, system.settings.clean_bucket):
        with pytest.raises(OwnBucket):
            _backfill(system, bucket=own)
    with pytest.raises(NoSuchService):
        _backfill(system, service="nobody")
    with pytest.raises(StoreRefuses, match="there is no bucket"):
        _backfill(system, bucket="no-such-bucket")


def test_memory_does_not_grow_with_the_bucket(system: System, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    many = 20_000
    listed = (Listed(f"old/{number:09}.pdf", 1, clock.now(), f'"{number}"') for number in range(many))
    last = Passed()
    with monkeypatch.context() as patch:
        patch.setattr(type(system.objects), "listing", lambda *_: listed)
        tracemalloc.start()
        for last in _backfill(system).count():  # noqa: B007
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (last.objects, last.new) == (many, many)
    assert peak < 2_000_000, "bytes; all keys at once take some five times as many"


@pytest.fixture
def run(system: System, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The command, with the database and buckets of this test."""
    monkeypatch.setenv("LAZARETTO_DATABASE_URL", system.settings.database_url.get_secret_value())
    monkeypatch.setenv("LAZARETTO_REDIS_URL", system.settings.redis_url.get_secret_value())
    monkeypatch.setenv("LAZARETTO_QUARANTINE_BUCKET", system.settings.quarantine_bucket)
    monkeypatch.setenv("LAZARETTO_CLEAN_BUCKET", system.settings.clean_bucket)
    monkeypatch.setattr("worker.telemetry.configure", lambda: None)  # it would hold on to the runner's stderr
    settings_module.load.cache_clear()
    yield lambda *arguments, said="": CliRunner().invoke(app, ["backfill", *arguments], input=said)
    settings_module.load.cache_clear()


def test_the_command_says_how_many_and_asks(system: System, run: Command) -> None:
    _put(system, **{"old/a.pdf": PDF, "old/b.pdf": PDF + b"b", "old/": b""})
    counted = run(f"s3://{BUCKET}/old/", "--service", "default", "--dry-run")
    said = f"s3://{BUCKET}/old/: 3 objects, 2 new ({2 * len(PDF) + 1} bytes), 1 folders"
    assert (counted.exit_code, counted.stderr) == (0, f"{said}\n")
    assert counted.stdout == "2 would be put on record\n"
    for answer in ("", "n\n", "1\n"):
        refused = run(f"{BUCKET}/old/", "--service", "default", said=answer)
        assert refused.exit_code == 1
        assert "Type 2 to have 2 scans put on record for default" in refused.stderr
    assert system.all() == []
    done = run(f"{BUCKET}/old/", "--service", "default", said="2\n")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "2 put on record")
    assert system.story(system.all()[0].id)[0].actor == f"operator:{getpass.getuser()}"
    again = run(f"{BUCKET}/old/", "--service", "default", "--json")
    assert (again.exit_code, json.loads(again.stdout)["matched"]) == (1, 0)
    assert "3 objects, 0 new (0 bytes), 2 known before" in again.stderr


def test_the_command_that_is_interrupted_says_how_far_it_came(
    system: System, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "_TOGETHER", 2)
    _put(system, **{f"{number}.pdf": PDF for number in range(5)})
    take, steps = Backfill._take, list[int]()

    def interrupted(self: Backfill, new: list[Listed], cause: Cause) -> None:
        steps.append(len(new))
        if len(steps) == 3:
            raise KeyboardInterrupt
        take(self, new, cause)

    monkeypatch.setattr(Backfill, "_take", interrupted)
    broken_off = run(BUCKET, "--service", "default", "--yes", "--json")
    assert broken_off.exit_code == 130
    assert "interrupted: 4 of 5 put on record" in broken_off.stderr
    assert len(system.all()) == 4
    monkeypatch.setattr(Backfill, "_take", take)
    gone_on = run(BUCKET, "--service", "default", "--yes")
    assert (gone_on.exit_code, gone_on.stdout.splitlines()[-1]) == (0, "1 put on record")
    assert len(system.all()) == 5


def test_the_command_refuses_what_it_cannot_do(system: System, run: Command) -> None:
    assert isinstance(run("/prefix", "--service", "default").exception, LazarettoError)
    assert isinstance(run(system.settings.clean_bucket, "--service", "default").exception, OwnBucket)
    assert isinstance(run(BUCKET, "--service", "nobody").exception, NoSuchService)
