"""Buckets against database: every difference is found, none is invented, and nothing is deleted by mistake."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli import app
from tests.calendar import Calendar
from tests.system import System, chunks, incoming
from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Listed
from worker.canaries import encrypted_zip
from worker.errors import Permanent
from worker.keys import sealed_key
from worker.reconcile import Finding, Reconciler
from worker.scan import Cause, Mover, Promoted, Scan, Status
from worker.store import inventory, scans, services
from worker.store.tables import scans as table

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
LATER = 3600.0  # seconds; nobody is at work on anything any more
PAGE = 2  # rows and keys; so that a handful crosses pages


@pytest.fixture
def reconciler(system: System) -> Reconciler:
    return Reconciler(system.database, system.objects, system.settings, PAGE)


@pytest.fixture
def clean(system: System) -> list[Scan]:
    return [system.outcome(PDF + bytes([number]), "a.pdf") for number in range(5)]


@pytest.fixture
def held(system: System) -> list[Scan]:
    return [system.outcome(encrypted_zip(), "a.zip") for _ in range(3)]


def _findings(reconciler: Reconciler) -> list[tuple[Finding, str]]:
    return sorted((found.finding, found.place.key) for found in reconciler.findings())


def test_a_system_at_rest_agrees(
    reconciler: Reconciler, calendar: Calendar, clean: list[Scan], held: list[Scan]
) -> None:
    calendar.pass_time(LATER)
    assert _findings(reconciler) == []
    assert (reconciler.summary.objects, reconciler.summary.records) == (8, 8)
    assert len(clean + held) == 8


def test_every_difference_is_found(
    system: System, reconciler: Reconciler, calendar: Calendar, clean: list[Scan], held: list[Scan]
) -> None:
    quarantine, promoted = system.settings.quarantine_bucket, system.settings.clean_bucket
    keys = [scan.promoted.key for scan in clean if scan.promoted]
    stranger = clock.new_id()
    expected = {
        (Finding.ORPHANED, sealed_key(stranger)),
        (Finding.ORPHANED, "sealed/what is this"),
        (Finding.ORPHANED, "nobody's"),
        (Finding.ORPHANED, f"default/{stranger}/1-1"),
        (Finding.ORPHANED, f"no-service/{stranger}/1-1"),
        (Finding.LEFTOVER, sealed_key(clean[0].id)),
        (Finding.SUPERSEDED, f"default/{clean[1].id}/0-1"),
        (Finding.MISSING, keys[2]),
        (Finding.ALTERED, keys[3]),
        (Finding.MISSING, sealed_key(held[0].id)),
    }
    for finding, key in expected - {(Finding.ALTERED, keys[3])}:
        if finding is not Finding.MISSING:
            system.objects.put(quarantine if key.startswith(("sealed/", "nobody")) else promoted, key, b"x")
    system.objects.put(promoted, keys[3], b"other")
    system.objects.delete(promoted, keys[2])
    system.objects.delete(quarantine, sealed_key(held[0].id))
    assert _findings(reconciler) == [], "what has just been written may be somebody's who is at work"
    calendar.pass_time(LATER)
    assert set(_findings(reconciler)) == expected
    assert sum(reconciler.summary.findings.values()) == len(expected)


def test_what_a_service_sent_and_never_had_scanned_is_reported_and_kept(
    system: System, reconciler: Reconciler, calendar: Calendar
) -> None:
    key = "incoming/default/photo.jpg"
    system.objects.put(system.settings.quarantine_bucket, key, b"x")
    calendar.pass_time(LATER)
    assert _findings(reconciler) == []
    calendar.pass_time(system.settings.receive_timeout)
    assert _findings(reconciler) == [(Finding.UNCLAIMED, key)]
    assert list(reconciler.deletions()) == []
    assert system.quarantined() == [key]


def test_what_is_put_right_before_the_second_look_is_no_finding(
    system: System, calendar: Calendar, clean: list[Scan]
) -> None:
    calendar.pass_time(LATER)
    assert clean[0].promoted is not None
    first = clean[0].promoted.key

    class Late(ObjectStore):
        """A store whose listing is older than the object."""

        def listing(self, bucket: str, prefix: str, page_size: int = 1000) -> Iterator[Listed]:
            return (each for each in super().listing(bucket, prefix, page_size) if each.key != first)

    late = Late(connect_timeout=2, timeout=10)
    assert _findings(Reconciler(system.database, late, system.settings, PAGE)) == []


def test_the_object_of_a_scan_that_is_still_settling_is_nobody_s_to_judge(
    system: System, reconciler: Reconciler, calendar: Calendar, clean: list[Scan]
) -> None:
    """Its worker died before its last write: the promoted object is the only copy."""
    system.amend(clean[0].id, status="settling", finished_at=None, quarantine_key=sealed_key(clean[0].id))
    calendar.pass_time(LATER)
    assert _findings(reconciler) == []


def test_files_of_a_service_that_is_younger_than_the_walk_are_its_own(
    system: System, reconciler: Reconciler, calendar: Calendar, clean: list[Scan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk over millions takes hours."""
    with system.database.write() as connection:
        services.add(connection, "newcomer")
    upload = replace(incoming("a.pdf"), service="newcomer")
    young = asyncio.run(system.intake().receive(upload, chunks(PDF), dict))
    assert system.work(young.id).status is Status.CLEAN
    stray = f"newcomer/{clean[0].id}/1-1"
    system.objects.put(system.settings.clean_bucket, stray, b"another service's scan")
    calendar.pass_time(LATER)
    monkeypatch.setattr(inventory, "clean_prefixes", lambda _database: ["default/"])
    assert _findings(reconciler) == [(Finding.SUPERSEDED, stray)]
    assert [found.place.key for found in reconciler.deletions()] == [stray]
    assert len(system.promoted()) == 6


def test_a_store_that_lists_out_of_order_is_not_believed(system: System, calendar: Calendar, clean: list[Scan]) -> None:
    class Backwards(ObjectStore):
        def listing(self, bucket: str, prefix: str, page_size: int = 1000) -> Iterator[Listed]:
            return reversed(list(super().listing(bucket, prefix, page_size)))

    backwards = Backwards(connect_timeout=2, timeout=10)
    with pytest.raises(Permanent, match="lists"):
        _findings(Reconciler(system.database, backwards, system.settings, PAGE))
    assert len(clean) == 5


def _run(system: System, monkeypatch: pytest.MonkeyPatch, *arguments: str, said: str = "") -> Result:
    """The command, with a database and buckets of this test."""
    monkeypatch.setattr("ops.cli.reconcile.load", lambda: system.settings)
    monkeypatch.setattr("worker.telemetry.configure", lambda: None)  # it would hold on to the runner's stderr
    return CliRunner().invoke(app, ["reconcile", *arguments], input=said)


@pytest.fixture
def orphan(system: System, clean: list[Scan]) -> str:
    assert len(clean) == 5
    key = f"default/{clock.new_id()}/1-1"
    system.objects.put(system.settings.clean_bucket, key, b"x")
    return key


def test_the_command_reports_and_deletes_only_what_it_was_told_to(
    system: System, calendar: Calendar, monkeypatch: pytest.MonkeyPatch, orphan: str
) -> None:
    calendar.pass_time(LATER)
    for arguments, said in ((), ""), (("--delete",), "y\n"), (("--delete",), "2\n"), (("--delete",), ""):
        result = _run(system, monkeypatch, *arguments, said=said)
        assert result.exit_code == 1, result.output
        assert f"orphaned   s3://{system.settings.clean_bucket}/{orphan}" in result.output
        assert "6 objects, 5 records: 1 orphaned" in result.output
        assert orphan in system.promoted()
    assert "deleted" in _run(system, monkeypatch, "--delete", said="1\n").output
    assert orphan not in system.promoted()
    assert len(system.promoted()) == 5
    result = _run(system, monkeypatch, "--json", "--delete", "--yes")
    assert (result.exit_code, json.loads(result.output)) == (0, {"objects": 5, "records": 5, "findings": {}})


def test_a_wrong_database_empties_no_bucket(
    system: System, calendar: Calendar, monkeypatch: pytest.MonkeyPatch, orphan: str
) -> None:
    calendar.pass_time(LATER)
    with system.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM events")
        connection.exec_driver_sql("DELETE FROM scans")
    result = _run(system, monkeypatch, "--delete", "--yes", "--most")
    assert isinstance(result.exception, Permanent)
    assert "the database holds no scan" in str(result.exception)
    system.outcome(PDF, "a.pdf")
    result = _run(system, monkeypatch, "--delete", "--yes")
    assert "6 of 7 objects would be deleted" in str(result.exception)
    assert orphan in system.promoted()
    assert _run(system, monkeypatch, "--delete", "--yes", "--most").exit_code == 1
    assert len(system.promoted()) == 1


MANY = 8_000


def test_memory_does_not_grow_with_the_buckets(system: System, calendar: Calendar) -> None:
    """Half of the objects have a record, half of the records an object."""
    moment, ids = clock.now(), sorted(clock.new_id() for _ in range(MANY))
    with system.database.write() as connection:
        template = Scan(ids[0], "default", Status.CLEAN, "a", None, moment, moment, finished_at=moment)
        scans.add(connection, template, Cause(Mover.SERVICE, "test"))
        row = dict(connection.execute(table.select()).mappings().one())
        rows: list[dict[str, Any]] = [row | {"id": scan_id, "promoted": _promoted(scan_id)} for scan_id in ids[1::2]]
        connection.execute(table.insert(), rows)
    del rows

    class Full(ObjectStore):
        """A store with many objects; none of them is there when it is looked at again."""

        def listing(self, bucket: str, prefix: str, page_size: int = 1000) -> Iterator[Listed]:
            known = prefix == "default/"
            return (Listed(f"default/{scan_id}/1-1", 1, moment) for scan_id in ids if known)

    calendar.pass_time(LATER)
    reconciler = Reconciler(system.database, Full(connect_timeout=2, timeout=10), system.settings, 100)
    reconciler._confirmed = lambda suspect: suspect.finding is Finding.ORPHANED  # type: ignore[method-assign]
    tracemalloc.start()
    for _ in reconciler.findings():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reconciler.summary.objects == MANY
    assert reconciler.summary.findings[Finding.ORPHANED] >= MANY // 2 - 1
    assert peak < 2_000_000, "bytes; all rows at once take some twenty times as many"


def _promoted(scan_id: str) -> dict[str, Any]:
    return asdict(Promoted("clean", f"default/{scan_id}/1-1", 1, "0" * 64, "text/plain"))
