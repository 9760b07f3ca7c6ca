"""Whatever happens anywhere in a scan."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial

import pytest

from tests import effects
from tests.audit import audit
from tests.calendar import Calendar
from tests.failpoints import (
    FILES,
    PDF,
    File,
    Injected,
    erase,
    fail,
    judge,
    killed,
    outside_transactions,
    scanned,
    swap,
    upload,
)
from tests.system import System
from worker.scan import ReasonCode, Status

# Two files of one MD5 (Xiaoyun Wang and others, https://eprint.iacr.org/2004/199): six bits are all that differs.
COLLISION = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
COLLIDING = bytes(each ^ 0x80 if at in (19, 45, 59, 83, 109, 123) else each for at, each in enumerate(COLLISION))


def test_a_worker_that_is_killed_anywhere(system: System, calendar: Calendar, file: File) -> None:
    points = {}
    for point in effects.recorded(system.objects, scanned(system, file)):
        scan_id = upload(system, file)
        points[scan_id] = point
        assert killed(system, point, partial(System.work, scan_id=scan_id)), point
    system.recover(calendar)
    judge(system, points, file.outcome)


# The answer whose body boto3 is made to throw away.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_fault_anywhere(system: System, calendar: Calendar, file: File) -> None:
    points = {}
    for point in effects.recorded(system.objects, scanned(system, file)):
        scan_id = upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, fail) as reached, suppress(Injected):
            system.work(scan_id)
        assert reached, point
    system.recover(calendar)
    judge(system, points, file.outcome)


def test_a_worker_that_stalls_anywhere_and_wakes_up_too_late(system: System, calendar: Calendar, file: File) -> None:
    """Its lease ends, another finishes its scan, the sweeper cleans up, and then it goes on where it stood: its own
    clock says that all is well, as if it had been stopped between its last look and its next effect."""
    points = {}
    other = system.with_settings(home=system.settings.home)
    other.parts.scanners.check()
    for point in outside_transactions(effects.recorded(system.objects, scanned(system, file))):
        scan_id = upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(other.recover, calendar)) as reached:
            system.work(scan_id)
        assert reached, point
    other.parts.close()
    system.recover(calendar)
    judge(system, points, file.outcome)


def test_an_object_that_is_swapped_anywhere(system: System, calendar: Calendar) -> None:
    file, evil = FILES["document"], PDF.replace(b"1 0 obj", b"6 6 obj")
    points, outcomes = {}, set()
    for point in effects.recorded(system.objects, scanned(system, file)):
        scan_id = upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(swap, system, scan_id, evil)) as reached:
            ended = system.work(scan_id)
        assert reached, point
        outcomes.add(ended.status)
        if ended.status is Status.CLEAN:
            assert system.read(ended) == file.data, point
        else:
            assert [reason.code for reason in ended.reasons] == [ReasonCode.CONTENT_CHANGED], point
    assert outcomes == {Status.CLEAN, Status.REJECTED}, "swapped after the fetch, and before"
    system.recover(calendar)
    judge(system, points, Status.CLEAN, Status.REJECTED)


def test_a_file_of_the_same_size_and_md5_is_another_file(system: System) -> None:
    """The store calls both by one ETag."""
    scan = system.upload(COLLISION)
    assert scan.quarantine_key is not None
    etag = system.objects.put(system.settings.quarantine_bucket, scan.quarantine_key, COLLIDING)
    assert etag == scan.etag
    ended = system.work(scan.id)
    assert [reason.code for reason in ended.reasons] == [ReasonCode.CONTENT_CHANGED]
    assert system.quarantined() == system.promoted() == []


def test_an_erasure_anywhere_in_a_scan(system: System, calendar: Calendar, file: File) -> None:
    points = {}
    for point in outside_transactions(effects.recorded(system.objects, scanned(system, file))):
        scan_id = upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(erase, scan_id, system)) as reached:
            system.work(scan_id)
        assert reached, point
    system.recover(calendar)
    assert {system.scan(scan_id).status for scan_id in points} == {Status.ERASED}
    judge(system, points, file.outcome, Status.ERASED)


def test_a_storm_of_redeliveries(system: System, calendar: Calendar) -> None:
    """Each task is delivered five times, in parallel, by processes that share nothing."""
    outcomes = {upload(system, file): frozenset({file.outcome}) for file in FILES.values()}
    workers = []
    for _ in range(5):
        if (pid := os.fork()) == 0:
            try:
                own = system.in_a_fork()
                for scan_id in outcomes:
                    own.parts.pipeline.run(scan_id)
            finally:
                os._exit(0)
        workers.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in workers)
    system.recover(calendar)
    assert audit(system.database, system.objects, system.settings, outcomes) == []
    assert {system.scan(scan_id).attempts for scan_id in outcomes} == {1}
