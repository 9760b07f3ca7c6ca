"""Files that reach quarantine without us, on real services: what forms allow, what is sealed, and what nobody can
do with a place that stays writable."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.calendar import Calendar
from tests.system import SERVICE, System
from worker.adapters.objects import Form
from worker.body import FileTooLarge
from worker.canaries import eicar, encrypted_zip
from worker.direct_uploads import Announced, DirectUploads, NothingThere, NotUploadedYet, Promise
from worker.inspect import Inspector
from worker.keys import sealed_key
from worker.operations import Order
from worker.policies import Policies
from worker.quotas import Quotas
from worker.reconcile import Finding, Reconciler
from worker.scan import Mover, ReasonCode, Scan, Status
from worker.seal import Sealer

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
EVIL = PDF.replace(b"1 0 obj", b"6 6 obj")  # another document, of the same size
OWN = f"incoming/{SERVICE}/report.pdf"


@pytest.fixture
def direct(system: System) -> Iterator[DirectUploads]:
    quotas = Quotas(system.settings.redis_url.get_secret_value())
    yield system.direct_uploads(quotas)
    quotas.close()


def _announced(filename: str = "report.pdf", kind: str | None = "application/pdf", service: str = SERVICE) -> Announced:
    return Announced(service, f"service:{service}", "request-1", filename, kind, {"order": 7})


def _post(form: Form, data: bytes) -> int:
    """The status that the store answers."""
    return httpx.post(form.url, data=dict(form.fields), files={"file": ("f", data, "application/pdf")}).status_code


def _outlived(system: System, calendar: Calendar) -> None:
    """Nobody can use a form any more, and the sweeper has looked."""
    calendar.pass_time(system.settings.presigned_seconds)
    system.recover(calendar)


def _promised(direct: DirectUploads, data: bytes = PDF) -> Promise:
    return direct.promise(_announced(), len(data))


def _put(system: System, data: bytes, key: str = OWN) -> str:
    return system.objects.put(system.settings.quarantine_bucket, key, data)


def _codes(scan: Scan) -> list[str]:
    return [reason.code for reason in scan.reasons]


def test_a_promised_file_is_promoted(system: System, direct: DirectUploads) -> None:
    promise = _promised(direct)
    assert (promise.scan.status, promise.scan.size, promise.scan.sha256) == (Status.RECEIVING, None, None)
    assert _post(promise.form, PDF) in (200, 204)
    queued = direct.enqueue(promise.key, _announced("other.pdf"))
    assert (queued.id, queued.status, queued.filename) == (promise.scan.id, Status.QUEUED, "report.pdf")
    assert system.deliver() == 1
    scan = system.scan(promise.scan.id)
    assert (scan.status, scan.size, scan.metadata) == (Status.CLEAN, len(PDF), {"order": 7})
    assert system.read(scan) == PDF
    assert system.quarantined() == []
    assert system.path(scan.id) == ["receiving", "queued", "scanning", "settling", "clean"]


def test_nothing_larger_than_the_policy_allows_is_promised(system: System, direct: DirectUploads) -> None:
    limit = Policies(system.settings.policy_file).of(SERVICE).max_size
    with pytest.raises(FileTooLarge):
        direct.promise(_announced(), limit + 1)
    assert system.all() == []


def test_a_promise_that_is_not_kept_yet_says_so_and_then_expires(
    system: System, direct: DirectUploads, calendar: Calendar
) -> None:
    promise = _promised(direct)
    with pytest.raises(NotUploadedYet):
        direct.enqueue(promise.key, _announced())
    calendar.pass_time(system.settings.presigned_seconds - 1)
    assert system.sweep().abandoned == 0
    assert _post(promise.form, PDF) in (200, 204)  # and nobody ever says so
    system.recover(calendar)
    assert system.scan(promise.scan.id).status is Status.EXPIRED
    assert system.quarantined() == []
    assert direct.enqueue(promise.key, _announced()).status is Status.EXPIRED


def test_a_form_that_is_used_again_changes_nothing_and_leaves_nothing(
    system: System, direct: DirectUploads, calendar: Calendar
) -> None:
    """During the scan, once it is sealed, and after its end."""
    promise, inspect = _promised(direct), Inspector.inspect
    _post(promise.form, PDF)
    direct.enqueue(promise.key, _announced())

    def overwritten_meanwhile(*arguments: Any, **options: Any) -> Any:
        assert _post(promise.form, EVIL) in (200, 204)
        return inspect(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inspector, "inspect", overwritten_meanwhile)
        system.deliver()
    scan = system.scan(promise.scan.id)
    assert (scan.status, system.read(scan)) == (Status.CLEAN, PDF)
    _post(promise.form, EVIL)
    assert direct.enqueue(promise.key, _announced()).id == scan.id
    assert system.quarantined() == [promise.key]
    system.sweep()
    assert system.quarantined() == []
    _post(promise.form, EVIL)
    _outlived(system, calendar)
    assert (system.quarantined(), system.read(scan)) == ([], PDF)


def test_a_form_that_is_used_again_before_the_scan_condemns_the_file(system: System, direct: DirectUploads) -> None:
    promise = _promised(direct)
    _post(promise.form, PDF)
    direct.enqueue(promise.key, _announced())
    _post(promise.form, EVIL)
    system.deliver()
    scan = system.scan(promise.scan.id)
    assert (scan.status, _codes(scan)) == (Status.REJECTED, [ReasonCode.CONTENT_CHANGED])
    assert system.quarantined() == system.promoted() == []


def test_an_object_of_the_services_own_is_one_scan_for_each_content(system: System, direct: DirectUploads) -> None:
    _put(system, PDF)
    first = direct.enqueue(OWN, _announced())
    assert (first.status, direct.enqueue(OWN, _announced()).id) == (Status.QUEUED, first.id)
    _put(system, EVIL)
    second = direct.enqueue(OWN, _announced())
    assert second.id != first.id
    system.deliver()
    assert _codes(system.scan(first.id)) == [ReasonCode.CONTENT_CHANGED]
    assert system.read(system.scan(second.id)) == EVIL
    assert system.quarantined() == []


def test_many_who_enqueue_one_object_at_once_get_one_scan(system: System, direct: DirectUploads) -> None:
    _put(system, PDF)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: direct.enqueue(OWN, _announced()).id, range(16)))
    assert len(set(answers)) == len(system.all()) == 1


def test_the_next_file_under_the_same_key_stays(system: System, direct: DirectUploads, calendar: Calendar) -> None:
    _put(system, PDF)
    first = direct.enqueue(OWN, _announced())
    _put(system, EVIL)
    system.recover(calendar)
    assert system.scan(first.id).status is Status.REJECTED
    assert system.quarantined() == [OWN]
    calendar.pass_time(system.settings.receive_timeout)
    found = list(Reconciler(system.database, system.objects, system.settings).findings())
    assert [each.finding for each in found] == [Finding.UNCLAIMED]


def test_the_same_bytes_written_again_are_taken_away(system: System, direct: DirectUploads, calendar: Calendar) -> None:
    _put(system, PDF)
    first = direct.enqueue(OWN, _announced())
    system.recover(calendar)
    _put(system, PDF)
    assert direct.enqueue(OWN, _announced()).id == first.id
    system.recover(calendar)
    assert (system.quarantined(), system.scan(first.id).status) == ([], Status.CLEAN)


@pytest.mark.parametrize(
    ("data", "status", "left"),
    [(eicar(), Status.INFECTED, False), (b"", Status.REJECTED, False), (encrypted_zip(), Status.UNSCANNABLE, True)],
    ids=["infected", "empty", "held"],
)
def test_what_becomes_of_other_files(
    system: System, direct: DirectUploads, data: bytes, status: Status, left: bool
) -> None:
    _put(system, data)
    scan = direct.enqueue(OWN, _announced("a.zip", None))
    assert system.work(scan.id).status is status
    assert system.quarantined() == ([sealed_key(scan.id)] if left else [])


def test_a_file_that_is_too_large_is_not_copied(system: System, direct: DirectUploads) -> None:
    _put(system, PDF)
    scan = direct.enqueue(OWN, _announced())
    small = system.with_policy("\n[services.default]\nmax_size = 10\n")
    own = system.with_settings(policy_file=small.policy_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sealer, "_copied", None)
        ended = own.work(scan.id)
    own.parts.close()
    assert (ended.status, _codes(ended)) == (Status.REJECTED, [ReasonCode.FILE_TOO_LARGE])
    assert system.quarantined() == []


def test_what_is_removed_before_the_scan_is_rejected(system: System, direct: DirectUploads) -> None:
    _put(system, PDF)
    scan = direct.enqueue(OWN, _announced())
    system.objects.delete(system.settings.quarantine_bucket, OWN)
    assert _codes(system.work(scan.id)) == [ReasonCode.CONTENT_CHANGED]


@pytest.mark.parametrize("worked", [False, True], ids=["waiting", "ended"])
def test_an_erasure_reaches_what_the_service_wrote(
    system: System, direct: DirectUploads, calendar: Calendar, worked: bool
) -> None:
    promise = _promised(direct)
    _post(promise.form, PDF)
    scan = direct.enqueue(promise.key, _announced())
    scan = system.work(scan.id) if worked else scan
    system.operations().erase(scan, Order("test", Mover.SERVICE))
    assert system.quarantined() == system.promoted() == []
    _post(promise.form, EVIL)
    _outlived(system, calendar)
    assert system.quarantined() == []


@pytest.mark.parametrize("key", ["incoming/other/report.pdf", f"incoming/{SERVICE}/../other/report.pdf"])
def test_a_key_that_is_not_the_services_own_is_not_even_looked_for(
    system: System, direct: DirectUploads, key: str
) -> None:
    _put(system, PDF, "incoming/other/report.pdf")
    _put(system, PDF)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system.objects, "head", None)
        with pytest.raises(NothingThere):
            direct.enqueue(key, _announced())
    assert system.all() == []


@pytest.mark.parametrize("name", ["%2e%2e/other/%2Fx", "p+q r?versionId=1#&=é漢"])
def test_a_name_is_only_a_name(system: System, direct: DirectUploads, name: str) -> None:
    key = f"incoming/{SERVICE}/{name}"
    _put(system, PDF, key)
    scan = system.work(direct.enqueue(key, _announced()).id)
    assert (scan.status, system.read(scan), system.quarantined()) == (Status.CLEAN, PDF, [])


def test_what_a_form_brought_long_after_the_end_is_reported_and_can_be_deleted(
    system: System, direct: DirectUploads, calendar: Calendar
) -> None:
    promise = _promised(direct)
    _post(promise.form, PDF)
    direct.enqueue(promise.key, _announced())
    _outlived(system, calendar)
    _post(promise.form, EVIL)
    calendar.pass_time(system.settings.receive_timeout)
    reconciler = Reconciler(system.database, system.objects, system.settings)
    assert [(each.finding, each.scan_id) for each in reconciler.deletions()] == [(Finding.LEFTOVER, promise.scan.id)]
    assert system.quarantined() == []


def test_what_waits_is_nobodys_litter(system: System, direct: DirectUploads, calendar: Calendar) -> None:
    _put(system, PDF)
    direct.enqueue(OWN, _announced())
    calendar.pass_time(system.settings.receive_timeout + 1)
    assert list(Reconciler(system.database, system.objects, system.settings).findings()) == []
