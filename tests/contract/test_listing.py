"""Pages of scans: whatever they are narrowed to, each scan is on exactly one, newest first."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from worker import clock, migrations, services
from worker.scan import Cause, Mover, Reason, Scan, Status, Verdict
from worker.store import claims, listing, scans
from worker.store.database import Database
from worker.store.rows import verdict_values
from worker.store.scans import Filter
from worker.store.tables import findings

BEGIN = clock.now() - timedelta(days=1)
NAMES = (
    "photo.jpg",
    "photo",
    "Photo.jpg",
    "pho%to",
    "p_oto",
    "ph😀to",
    "x" * 31 + "yz",
    "x" * 40,
    "x" * 4096,
    "é",
    "\\",
)
TYPES = ("image/jpeg", "text/plain", "application/pdf")
STATUSES = (Status.CLEAN, Status.CLEAN, Status.CLEAN, Status.INFECTED, Status.UNSCANNABLE, Status.QUEUED)
CAUSE = Cause(Mover.WORKER, "because")
OTHERS = ("service", "sha256", "reason", "signature", "type", "name", "since", "until")


@pytest.fixture(scope="module")
def shown() -> list[Scan]:
    """Every scan that there is, newest first."""
    chance = random.Random(6)
    made = []
    for at in range(200):
        moment = BEGIN + timedelta(seconds=at)
        scan = Scan(clock.first_id(moment), "one", chance.choice(STATUSES), chance.choice(NAMES), None, moment, moment)
        values = {"service": chance.choice(("one", "two", "default")), "sha256": chance.choice("abc") * 64}
        made.append(replace(scan, **values, detected_type=chance.choice(TYPES)))  # type: ignore[arg-type]
    return [_judged(scan) for scan in reversed(made)]


def _judged(scan: Scan) -> Scan:
    if scan.status is Status.INFECTED:
        return replace(scan, reasons=(Reason("signature_found", "…"),), signatures=("Eicar",))
    codes = ("encrypted", "type_mismatch") if scan.status is Status.UNSCANNABLE else ()
    return replace(scan, reasons=tuple(Reason(code, "…") for code in codes))


@pytest.fixture
def database(database_url: str, shown: list[Scan], monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """With these scans; few rows are looked at for a page."""
    monkeypatch.setattr(listing, "CANDIDATES", 20)
    made = Database(database_url)
    services.ensure_bootstrap_key(made, "key")
    with made.write() as connection:
        for service in ("one", "two"):
            connection.exec_driver_sql(f"INSERT INTO services VALUES ('{service}', '2026-01-01 00:00:00')")
        for scan in shown:
            _put(connection, scan)
    yield made
    made.close()


def _put(connection: Connection, scan: Scan) -> None:
    verdict = Verdict(scan.status, scan.reasons, scan.signatures, scan.detected_type)
    scans.add(connection, replace(scan, reasons=(), signatures=()), CAUSE)
    claims.amend(connection, scan, **verdict_values(verdict))


def _fits(scan: Scan, wanted: Filter) -> bool:
    """The same, said otherwise."""
    return all(
        (
            not wanted.statuses or scan.status in wanted.statuses,
            wanted.service in (None, scan.service),
            wanted.sha256 in (None, scan.sha256),
            wanted.type in (None, scan.detected_type),
            wanted.reason is None or wanted.reason in {each.code for each in scan.reasons},
            wanted.signature is None or wanted.signature in scan.signatures,
            scan.filename.startswith(wanted.name or ""),
            wanted.since is None or scan.created_at >= wanted.since,
            wanted.until is None or scan.created_at < wanted.until,
            not wanted.ids or scan.id in wanted.ids,
        )
    )


def _wishes(shown: list[Scan]) -> Iterator[Filter]:
    """Everything alone, and combinations by chance."""
    chance = random.Random(7)
    values = {
        "service": ("one", "two", "nobody"),
        "sha256": ("a" * 64, "d" * 64),
        "reason": ("encrypted", "signature_found", "unheard_of"),
        "signature": ("Eicar", "eicar"),
        "type": (*TYPES, "image/png"),
        "name": ("p", "ph", "photo", "photo.jpg", "P", "%", "_", "x" * 31, "x" * 32, "x" * 33, "é", "\\", "ph😀"),
        "since": (BEGIN + timedelta(seconds=100),),
        "until": (BEGIN + timedelta(seconds=170),),
        "statuses": ((Status.INFECTED,), (Status.CLEAN, Status.QUEUED), (Status.FAILED,)),
        "ids": (tuple(scan.id for scan in shown[::7]),),
    }
    yield Filter()
    for name, each in values.items():
        yield from (Filter(**{name: value}) for value in each)  # type: ignore[arg-type]
    for _ in range(60):
        some = chance.sample(list(values), chance.randint(2, 4))
        yield Filter(**{name: chance.choice(values[name]) for name in some})  # type: ignore[arg-type]


def test_every_scan_that_fits_is_on_one_page(database: Database, shown: list[Scan]) -> None:
    for wanted in _wishes(shown):
        expected = [scan.id for scan in shown if _fits(scan, wanted)]
        with database.read() as connection:
            pages = list(_pages(connection, wanted, 23))
            assert [scan.id for scan in scans.page(connection, wanted, limit=500)] == expected, wanted
        assert [scan.id for page in pages for scan in page.items] == expected, wanted
        assert all(len(page.items) <= 23 for page in pages)


def _pages(connection: Connection, wanted: Filter, limit: int) -> Iterator[listing.Page]:
    page = listing.page(connection, wanted, limit=limit)
    yield page
    while page.next_cursor:
        page = listing.page(connection, wanted, before=page.next_cursor, limit=limit)
        yield page


def test_a_page_that_one_index_has_is_full(database: Database) -> None:
    alone = (Filter(statuses=(Status.CLEAN, Status.QUEUED)), Filter(service="one"), Filter(type="image/jpeg"))
    several = (Filter(service="one", statuses=(Status.CLEAN,)), Filter(reason="encrypted"), Filter(signature="Eicar"))
    for wanted in (Filter(), *alone, *several, Filter(sha256="a" * 64)):
        with database.read() as connection:
            *full, last = _pages(connection, wanted, 7)
        assert full
        assert {len(page.items) for page in full} == {7}, wanted
        assert last.items


def test_a_few_are_found_at_once_however_many_there_are_of_the_rest(database: Database, shown: list[Scan]) -> None:
    """The oldest of all: no page before it that says nothing."""
    oldest = replace(_judged(shown[-1]), id=clock.first_id(BEGIN - timedelta(1)), filename="rare", service="default")
    with database.write() as connection:
        _put(connection, replace(oldest, status=Status.CLEAN))
        for wanted in (Filter(name="rar"), Filter(name="rare", service="default", statuses=(Status.CLEAN,))):
            page = listing.page(connection, wanted, limit=7)
            assert ([scan.id for scan in page.items], page.next_cursor) == ([oldest.id], None)


def test_scans_are_found_by_what_stands_and_nothing_else(database: Database) -> None:
    moment = clock.now()
    scan = Scan(clock.new_id(), "one", Status.SCANNING, "x", None, moment, moment, queued_at=moment)
    verdict = Verdict(Status.UNSCANNABLE, (Reason("scan_timed_out", "…"),) * 2, ("X" * 300,))
    error = {"code": "worker_lost", "message": "…", "retryable": True}
    steps: tuple[tuple[Status, Mover, dict[str, object], set[str]], ...] = (
        (Status.QUEUED, Mover.WORKER, {"error": error}, set()),
        (Status.SCANNING, Mover.WORKER, {}, set()),
        (Status.SETTLING, Mover.WORKER, verdict_values(verdict), {"scan_timed_out", "X" * 255}),
        (Status.UNSCANNABLE, Mover.WORKER, {"error": None}, {"scan_timed_out", "X" * 255}),
        (Status.QUEUED, Mover.OPERATOR, verdict_values(None), set()),
        (Status.SCANNING, Mover.WORKER, {}, set()),
        (Status.FAILED, Mover.SWEEPER, {"error": error}, {"worker_lost"}),
        (Status.ERASED, Mover.OPERATOR, {}, {"worker_lost"}),
    )
    mine = select(findings.c.value).where(findings.c.scan_id == scan.id)
    with database.write() as connection:
        scans.add(connection, scan, CAUSE)
        for target, mover, values, expected in steps:
            present = scans.get(connection, scan.id)
            assert present is not None
            assert scans.move(connection, scan.id, present.status, target, Cause(mover, "because"), **values)
            assert set(connection.execute(mine).scalars()) == expected, target


def test_what_was_found_before_there_was_a_place_for_it_is_put_there(database_url: str) -> None:
    """By the migration, from the records."""
    database = Database(database_url)
    migrations.upgrade(database)
    services.ensure_bootstrap_key(database, "key")
    moment = clock.now()
    scan = Scan(clock.new_id(), "default", Status.SCANNING, "n" * 40, None, moment, moment, queued_at=moment)
    verdict = Verdict(Status.INFECTED, (Reason("signature_found", "…"), Reason("encrypted", "…")), ("Eicar",))
    failed = replace(scan, id=clock.new_id())
    error = {"code": "worker_lost", "message": "…", "retryable": True}
    with database.write() as connection:
        for each in (scan, failed):
            scans.add(connection, replace(each, status=Status.RECEIVING, queued_at=None), CAUSE)
            scans.move(connection, each.id, Status.RECEIVING, Status.QUEUED, Cause(Mover.INTAKE, "because"))
            scans.move(connection, each.id, Status.QUEUED, Status.SCANNING, CAUSE)
        scans.move(connection, scan.id, Status.SCANNING, Status.SETTLING, CAUSE, **verdict_values(verdict))
        scans.move(connection, scan.id, Status.SETTLING, Status.INFECTED, CAUSE)
        scans.move(connection, failed.id, Status.SCANNING, Status.FAILED, CAUSE, error=error)
    *texts, seconds = _told(database)
    migrations.downgrade(database, "0004")
    migrations.upgrade(database)
    *same, about_as_many = _told(database)
    database.close()
    assert same == texts
    assert about_as_many == [pytest.approx(each, abs=0.002) for each in seconds]  # SQLite reckons in milliseconds
    assert len(seconds) == 2


def _told(database: Database) -> list[list[Any]]:
    """What is beside the records."""
    questions = (
        "SELECT kind, value, scan_id FROM findings ORDER BY 1, 2, 3",
        "SELECT codes FROM events ORDER BY id",
        "SELECT name_start FROM scans",
    )
    waited = "SELECT seconds FROM events WHERE seconds IS NOT NULL ORDER BY id"
    with database.read() as connection:
        told: list[list[Any]] = [list(connection.exec_driver_sql(question)) for question in questions]
        return [*told, list(connection.exec_driver_sql(waited).scalars())]


def test_rows_of_other_kinds_are_no_findings_of_this(database: Database, shown: list[Scan]) -> None:
    """A signature that is called like a code."""
    scan = next(scan for scan in shown if scan.status is Status.CLEAN)
    with database.write() as connection:
        row = {"kind": "signature", "value": "unheard_of", "scan_id": scan.id}
        connection.execute(insert(findings), [row])
        assert listing.page(connection, Filter(reason="unheard_of"), limit=7).items == []
        assert [each.id for each in listing.page(connection, Filter(signature="unheard_of"), limit=7).items] == [
            scan.id
        ]
