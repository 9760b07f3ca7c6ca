"""Retry and release: each the next decision, on record with who asked and why; and what they may run into."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from pydantic import SecretStr

from tests.audit import audit
from tests.calendar import Calendar
from tests.system import SERVICE, System
from worker import clock, signing
from worker.canaries import encrypted_zip
from worker.errors import LazarettoError, NothingHeld, WrongStatus
from worker.operations import Order
from worker.scan import Cause, Mover, Scan, Status
from worker.store import claims, delivery_log
from worker.store.delivery_log import Wanted

ORDER = Order("service:default key:lz_operator", Mover.OPERATOR, "request-9")
WHY = Order(ORDER.actor, Mover.OPERATOR, "request-9", "the sender told us the password")
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
OTHER = PDF.replace(b"1 0 obj", b"6 6 obj")
SECRET = encrypted_zip()
DAY = 86400  # seconds


def failed(system: System, scan: Scan) -> Scan:
    """The scan, after each worker that took it was lost."""
    for _ in range(system.settings.max_attempts):
        past = clock.now() - timedelta(seconds=1)
        with system.database.write() as connection:
            assert claims.take(connection, scan.id, Cause(Mover.WORKER, "claimed"), past)
        system.sweep()
    ended = system.scan(scan.id)
    assert ended.status is Status.FAILED
    return ended


def _report(system: System) -> Scan:
    return system.upload(PDF, "report.pdf")


def held(system: System) -> Scan:
    scan = system.outcome(SECRET, "secret.zip")
    assert (scan.status, scan.held) == (Status.UNSCANNABLE, True)
    return scan


def _audited(system: System, calendar: Calendar) -> list[str]:
    """What is wrong once everything has come to rest."""
    system.recover(calendar)
    return audit(system.database, system.objects, system.settings, {})


def test_what_failed_starts_over_and_ends_clean(system: System, calendar: Calendar) -> None:
    before = failed(system, _report(system))
    system.flush_queue()
    queued = system.operations().retry(before, ORDER)
    assert (queued.status, queued.decision, queued.attempts, queued.error) == (Status.QUEUED, 2, 0, None)
    assert (system.queue.waiting(), system.queue.waiting("bulk")) == (1, 0)
    assert system.deliver() == 1
    ended = system.scan(before.id)
    assert (ended.status, ended.decision, ended.attempts) == (Status.CLEAN, 2, 1)
    assert ended.promoted is not None
    assert ended.promoted.key == f"{SERVICE}/{ended.id}/1-2"
    assert system.read(ended) == PDF
    order = system.story(before.id)[-4]
    assert (order.actor, order.reason, order.request_id) == (ORDER.actor, "tried again", "request-9")
    assert system.path(before.id)[-5:] == ["failed", "queued", "scanning", "settling", "clean"]
    assert _audited(system, calendar) == []


def test_what_fails_again_has_had_all_its_attempts_again(system: System) -> None:
    again = failed(system, system.operations().retry(failed(system, _report(system)), ORDER))
    assert (again.decision, again.attempts) == (2, system.settings.max_attempts)
    assert (again.error or {})["message"] == "worker lost 3 times"
    assert system.operations().retry(again, ORDER).decision == 3


def test_what_was_unscannable_is_examined_once_more(system: System) -> None:
    before = held(system)
    queued = system.operations().retry(before, ORDER)
    assert (queued.verdict, queued.reasons, queued.held, queued.policy) == (None, (), False, None)
    again = system.work(before.id)
    assert (again.status, again.decision, again.reasons) == (Status.UNSCANNABLE, 2, before.reasons)
    assert len(system.quarantined()) == 1


def test_a_direct_upload_that_was_never_sealed_is_sealed_now(system: System, calendar: Calendar) -> None:
    before = failed(system, system.upload_direct(PDF, "direct.pdf"))
    assert not before.sealed
    calendar.pass_time(DAY)
    system.sweep()
    system.operations().retry(before, ORDER)
    ended = system.work(before.id)
    assert (ended.status, system.read(ended)) == (Status.CLEAN, PDF)
    assert system.quarantined() == []
    assert _audited(system, calendar) == []


def test_a_direct_upload_that_was_replaced_before_its_retry_is_refused(system: System) -> None:
    before = failed(system, system.upload_direct(PDF, "direct.pdf"))
    system.objects.put(system.settings.quarantine_bucket, before.source_key or "", OTHER)
    system.operations().retry(before, ORDER)
    ended = system.work(before.id)
    assert (ended.status, [reason.code for reason in ended.reasons]) == (Status.REJECTED, ["content_changed"])


def test_a_retry_while_redis_is_away_is_handed_over_by_the_sweeper(system: System) -> None:
    before = failed(system, _report(system))
    system.flush_queue()
    away = system.with_settings(redis_url=SecretStr("redis://127.0.0.1:1/0"))
    assert away.operations().retry(before, ORDER).status is Status.QUEUED
    away.queue.close()
    away.parts.close()
    assert system.scan(before.id).enqueued_at is None
    assert system.sweep().enqueued == 1
    assert system.deliver() == 1
    assert system.scan(before.id).status is Status.CLEAN


def test_what_is_released_is_promoted_as_it_was_uploaded(system: System, calendar: Calendar) -> None:
    signing.ensure(system.database, SERVICE)
    before = held(system)
    ordered = system.operations().release(before, WHY)
    assert (ordered.status, ordered.decision, system.promoted()) == (Status.SETTLING, 2, [])
    system.deliver()
    ended = system.scan(before.id)
    assert (ended.status, ended.decision, ended.quarantine_key) == (Status.RELEASED, 2, None)
    assert ended.promoted is not None
    assert (ended.promoted.type, ended.promoted.key) == ("application/zip", f"{SERVICE}/{ended.id}/1-2")
    assert system.read(ended) == SECRET
    assert ended.reasons == before.reasons, "why it had been held stays on record"
    *_, order, end = system.story(before.id)
    assert (order.actor, order.target, order.request_id) == (ORDER.actor, Status.SETTLING, "request-9")
    assert order.reason == "released: the sender told us the password"
    assert (end.target, end.decision) == (Status.RELEASED, 2)
    assert _audited(system, calendar) == []
    with system.database.read() as connection:
        told = [(each["type"], each["decision"]) for each in delivery_log.page(connection, Wanted(), 10)]
    assert sorted(told) == [("scan.released", 2), ("scan.unscannable", 1)]


@pytest.mark.parametrize("swap", ["replaced", "removed"])
def test_bytes_that_changed_while_they_were_held_are_not_released(
    system: System, calendar: Calendar, swap: str
) -> None:
    before = held(system)
    place = (system.settings.quarantine_bucket, before.quarantine_key or "")
    if swap == "replaced":
        system.objects.put(*place, OTHER)
    else:
        system.objects.delete(*place)
    system.operations().release(before, WHY)
    ended = system.work(before.id)
    assert (ended.status, ended.reasons[-1].code, ended.promoted) == (Status.REJECTED, "content_changed", None)
    assert system.promoted() == system.quarantined() == []
    assert _audited(system, calendar) == []


def test_what_a_late_writer_of_an_earlier_decision_leaves_is_tidied(system: System, calendar: Calendar) -> None:
    before = held(system)
    system.operations().release(before, WHY)
    system.work(before.id)
    late = f"{SERVICE}/{before.id}/1-1"
    system.objects.put(system.settings.clean_bucket, late, b"late")
    assert _audited(system, calendar) == []
    assert len(system.promoted()) == 1


def test_a_release_needs_a_reason(system: System) -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        system.operations().release(held(system), ORDER)


def test_what_cannot_be_asked_of_a_scan_is_refused_in_words(system: System) -> None:
    operations = system.operations()
    clean, lost, waiting = system.work(_report(system).id), failed(system, _report(system)), _report(system)
    for order, scan, status in (
        (operations.retry, clean, "clean"),
        (operations.retry, waiting, "queued"),
        (operations.release, lost, "failed"),
    ):
        with pytest.raises(WrongStatus, match=f"The scan is {status}") as refused:
            order(scan, WHY)
        assert "a scan that is" in (refused.value.expected or "")
        assert not refused.value.retryable
        assert system.scan(scan.id) == scan


def test_bytes_that_are_gone_are_neither_tried_again_nor_released(system: System) -> None:
    scan = held(system)
    system.amend(scan.id, quarantine_key=None)
    for order in (system.operations().retry, system.operations().release):
        with pytest.raises(NothingHeld):
            order(scan, WHY)


def _tried(orders: list[Callable[[], object]]) -> list[object]:
    """All at once: what each gave, or the refusal."""

    def one(order: Callable[[], object]) -> object:
        try:
            return order()
        except LazarettoError as fault:
            return fault

    with ThreadPoolExecutor(len(orders)) as pool:
        return list(pool.map(one, orders))


def test_of_two_who_try_again_at_once_one_is_first(system: System) -> None:
    scan, operations = failed(system, _report(system)), system.operations()
    came = _tried([partial(operations.retry, scan, ORDER)] * 4)
    assert sum(isinstance(each, Scan) for each in came) == 1
    assert sum(isinstance(each, WrongStatus) for each in came) == 3
    assert system.path(scan.id)[-2:] == ["failed", "queued"]


def test_an_order_is_about_the_decision_that_was_seen(system: System) -> None:
    seen = held(system)
    system.operations().retry(seen, ORDER)
    assert system.work(seen.id).status is Status.UNSCANNABLE
    for order in (system.operations().retry, system.operations().release):
        with pytest.raises(WrongStatus, match="Somebody else"):
            order(seen, WHY)
    assert system.scan(seen.id).decision == 2


def test_retry_and_release_at_once_are_one_decision(system: System, calendar: Calendar) -> None:
    scan, operations = held(system), system.operations()
    came = _tried([partial(operations.retry, scan, ORDER), partial(operations.release, scan, WHY)])
    assert sum(isinstance(each, Scan) for each in came) == 1
    system.deliver()
    ended = system.scan(scan.id)
    assert (ended.status, ended.decision) in {(Status.UNSCANNABLE, 2), (Status.RELEASED, 2)}
    assert _audited(system, calendar) == []


def test_a_retry_against_the_end_of_the_retention(system: System, calendar: Calendar) -> None:
    scans = [failed(system, _report(system)) for _ in range(4)]
    calendar.pass_time(31 * DAY)
    operations, sweeper = system.operations(), system.sweeper()
    *came, _swept = _tried([*(partial(operations.retry, scan, ORDER) for scan in scans), sweeper.sweep])
    for scan, result in zip(scans, came, strict=True):
        expired = system.scan(scan.id).status is Status.EXPIRED
        assert expired == isinstance(result, WrongStatus), result
    system.deliver()
    assert {system.scan(scan.id).status for scan in scans} <= {Status.EXPIRED, Status.CLEAN}
    assert _audited(system, calendar) == []


@pytest.mark.parametrize("mover", [Mover.SERVICE, Mover.OPERATOR])
def test_a_release_against_an_erasure(system: System, calendar: Calendar, mover: Mover) -> None:
    scan, operations = held(system), system.operations()
    erase = partial(operations.erase, scan, Order("somebody", mover))
    _tried([partial(operations.release, scan, WHY), erase])
    system.deliver()
    assert system.scan(scan.id).status is Status.ERASED
    assert _audited(system, calendar) == []
    assert system.promoted() == []


def test_what_was_released_can_be_erased(system: System, calendar: Calendar) -> None:
    scan = held(system)
    system.operations().release(scan, WHY)
    system.operations().erase(system.work(scan.id), Order("somebody", Mover.OPERATOR))
    assert (system.promoted(), _audited(system, calendar)) == ([], [])
