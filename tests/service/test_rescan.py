"""Promoted files, looked at once more: what is found, what is not, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import select

from ops.embedded.clamd_server import Clamd
from tests import effects
from tests.audit import audit
from tests.calendar import Calendar
from tests.clamd_proxy import CRASHES, ClamdProxy
from tests.effects import Point
from tests.later import MALWARE, NAME, known_malware
from tests.system import System
from worker import signing
from worker.canaries import encrypted_zip
from worker.errors import WrongStatus
from worker.operations import Order
from worker.policies import Policies
from worker.rescans import Rescans
from worker.scan import Mover, ReasonCode, Scan, Status
from worker.store.tables import deliveries
from worker.store.tables import rescans as table

TEXT = b"Nothing to see here. " + MALWARE
ORDER = Order("operator:ann", Mover.OPERATOR, "request-9", "new signatures")
ASKED = "; asked by operator:ann (new signatures)"
WITH = r"ClamAV 1\.\d+\.\d+/development signatures"


def _asked(system: System, scan: Scan) -> Scan:
    return Rescans(system.database, system.queue).ask(scan, ORDER)


def _rescanned(system: System, scan: Scan) -> Scan:
    _asked(system, scan)
    system.parts.rescan(scan.id)
    return system.scan(scan.id)


def _erase(system: System, scan_id: str) -> None:
    system.operations().erase(system.scan(scan_id), ORDER)


def _judged(system: System) -> list[str]:
    return audit(system.database, system.objects, system.settings, {})


@contextmanager
def _with_webhooks(system: System) -> Iterator[System]:
    told = system.with_settings(
        policy_file=system.with_policy('\n[services.default]\nwebhook_url = "https://example.org/"\n').policy_file
    )
    signing.ensure_all(system.database, Policies(told.settings.policy_file))
    yield told
    told.parts.close()


def _told(system: System) -> list[tuple[int, str]]:
    with system.database.read() as connection:
        found = connection.execute(select(deliveries.c.decision, deliveries.c.type).order_by(deliveries.c.decision))
        return [(row.decision, row.type) for row in found]


def test_where_nothing_is_found_only_a_note_and_the_scanner_are_new(system: System) -> None:
    with _with_webhooks(system):
        before = system.outcome(TEXT)
        system.amend(before.id, scanner={"engine": "ClamAV 0.9", "database": "1", "database_time": None})
        after = _rescanned(system, before)
        assert _told(system) == [(1, "scan.clean")]
    assert (after.status, after.decision, after.promoted) == (Status.CLEAN, 1, before.promoted)
    assert after.updated_at == before.updated_at
    assert after.scanner == before.scanner
    note = system.story(before.id)[-1]
    assert (note.source, note.target, note.decision, note.request_id) == ("clean", "clean", 1, "request-9")
    assert note.actor.startswith("worker ")
    assert note.reason.startswith("rescanned with ClamAV 1.")
    assert note.reason.endswith(f"/development signatures: nothing found{ASKED}")
    assert system.rescans() == []
    assert _judged(system) == []


def test_malware_that_was_promoted_is_recalled_and_told(system: System, clamd: Clamd, calendar: Calendar) -> None:
    with _with_webhooks(system):
        before = system.outcome(TEXT)
        with known_malware(clamd):
            after = _rescanned(system, before)
        assert _told(system) == [(1, "scan.clean"), (2, "scan.infected")]
    assert (after.status, after.decision, after.attempts) == (Status.INFECTED, 2, 1)
    assert after.signatures == (f"{NAME}.UNOFFICIAL",)
    assert [reason.code for reason in after.reasons] == [ReasonCode.SIGNATURE_FOUND]
    assert after.promoted is None
    assert system.promoted() == system.quarantined() == []
    assert system.path(before.id)[-2:] == ["settling", "infected"]
    recall = system.story(before.id)[-2]
    assert (recall.source, recall.decision, recall.request_id) == ("clean", 2, "request-9")
    assert recall.reason.startswith("recalled: rescanned with ClamAV 1.")
    assert recall.reason.endswith(f": {NAME}.UNOFFICIAL{ASKED}")
    system.recover(calendar)
    assert _judged(system) == []


def test_a_recall_is_repeated_one_lease_later(system: System, clamd: Clamd, calendar: Calendar) -> None:
    """Whoever promoted it may still have had a call under way."""
    before = system.outcome(TEXT)
    assert before.promoted is not None
    with known_malware(clamd):
        _rescanned(system, before)
    system.objects.put(before.promoted.bucket, before.promoted.key, TEXT)
    calendar.pass_time(system.settings.lease_seconds + 1)
    system.sweep()
    assert system.promoted() == []


def test_a_direct_upload_is_recalled_like_any_other(system: System, clamd: Clamd) -> None:
    before = system.work(system.upload_direct(TEXT, "direct.txt").id)
    assert before.status is Status.CLEAN
    with known_malware(clamd):
        assert _rescanned(system, before).status is Status.INFECTED
    assert system.promoted() == system.quarantined() == []


def test_what_cannot_be_proven_any_more_is_only_noted(system: System, clamd: Clamd) -> None:
    before = system.outcome(TEXT)
    with known_malware(clamd, "Heuristics.Encrypted.Later"):
        after = _rescanned(system, before)
    assert after == before
    assert "development signatures: encrypted;" in system.story(before.id)[-1].reason
    assert (system.rescans(), _judged(system)) == ([], [])


@pytest.mark.parametrize("bytes_now", [None, TEXT[:-1] + b"!", TEXT + b"!"], ids=["missing", "altered", "longer"])
def test_promoted_bytes_that_are_not_there_are_noted_and_alarmed(
    system: System, bytes_now: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = system.outcome(TEXT)
    assert before.promoted is not None
    system.objects.delete(before.promoted.bucket, before.promoted.key)
    if bytes_now:
        system.objects.put(before.promoted.bucket, before.promoted.key, bytes_now)
    assert _rescanned(system, before) == before
    said = "not the one that was promoted" if bytes_now else "missing"
    assert system.story(before.id)[-1].reason == f"not rescanned: the promoted object is {said}{ASKED}"
    assert system.rescans() == []


def test_asking_twice_is_asking_once(system: System) -> None:
    scan = system.outcome(TEXT)
    assert _asked(system, scan) == _asked(system, scan) == scan
    assert system.rescans() == [scan.id]
    assert system.deliver() == 2, "its scan's task, and one of a rescan"
    told = system.path(scan.id)
    assert told[-2:] == ["clean", "clean"]
    system.parts.rescan(scan.id)
    assert system.path(scan.id) == told, "a task that is delivered again finds nothing"


@pytest.mark.parametrize("data", [None, encrypted_zip()], ids=["queued", "unscannable"])
def test_only_what_is_promoted_can_be_rescanned(system: System, data: bytes | None) -> None:
    scan = system.outcome(data, "a.zip") if data else system.upload(TEXT)
    with pytest.raises(WrongStatus, match=f"The scan is {scan.status}"):
        _asked(system, scan)
    assert system.rescans() == []


def test_what_is_erased_before_its_rescan_is_left_alone(system: System) -> None:
    scan = system.outcome(TEXT)
    _asked(system, scan)
    _erase(system, scan.id)
    system.deliver()
    assert (system.path(scan.id)[-1], system.rescans()) == ("erased", [])


def test_an_erasure_anywhere_in_a_rescan_that_finds_nothing(system: System, calendar: Calendar) -> None:
    first = _asked(system, system.outcome(TEXT))
    points = effects.recorded(system.objects, partial(system.parts.rescan, first.id))
    erased = []
    for point in (each for each in points if each.name != "before commit"):
        scan = _asked(system, system.outcome(TEXT))
        erased.append(scan.id)
        with effects.at(system.objects, point, partial(_erase, system, scan.id)) as reached:
            system.parts.rescan(scan.id)
        assert reached, point
    system.recover(calendar)
    assert {system.scan(scan_id).status for scan_id in erased} == {Status.ERASED}
    assert (_judged(system), system.rescans()) == ([], [])


def test_a_file_that_crashes_its_scanner_stays_and_is_given_up(
    system: System, clamd_tcp_address: str, calendar: Calendar
) -> None:
    scan = system.outcome(CRASHES)
    _asked(system, scan)
    with ClamdProxy.running(clamd_tcp_address) as proxy:
        fragile = system.with_settings(clamd=(proxy.address,))
        for _ in range(system.settings.max_attempts * 3):
            fragile.parts.rescan(scan.id)
            calendar.pass_time(system.settings.retry_cap + 1)
            proxy._down_until = 0
            fragile.parts.scanners._trust[proxy.address].refused_until = 0
        fragile.parts.close()
    assert system.rescans() == []
    assert system.scan(scan.id) == scan
    note = system.story(scan.id)[-1]
    assert note.reason.startswith(f"rescan failed after {system.settings.max_attempts} attempts: The scanner failed")
    assert _judged(system) == []


def test_a_scanner_that_is_away_costs_no_attempt(system: System) -> None:
    scan = system.outcome(TEXT)
    _asked(system, scan)
    alone = system.with_settings(clamd=("tcp://127.0.0.1:1",))
    alone.parts.rescan(scan.id)
    alone.parts.close()
    with system.database.read() as connection:
        row = connection.execute(select(table)).one()
    assert (row.attempts, row.setbacks, row.lease_until) == (0, 1, None)
    assert row.due_at is not None
    assert system.path(scan.id)[-2:] == ["settling", "clean"], "nothing to tell"


def test_a_worker_that_is_stopped_hands_its_rescan_back(system: System) -> None:
    scan = system.outcome(TEXT)
    _asked(system, scan)
    stopped = system.with_settings(home=system.settings.home)

    def stop() -> None:
        stopped.parts.stop()
        time.sleep(0.5)  # longer than a lease takes to notice

    with effects.at(system.objects, Point("before S3 GetObject", 1), stop):
        stopped.parts.rescan(scan.id)
    assert system.rescans() == [scan.id]
    system.sweep()
    assert system.deliver() >= 1
    assert system.rescans() == []
    stopped.parts.close()
