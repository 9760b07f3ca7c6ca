"""The lease, and what ends work before it is done: loss, the time limit, a stop."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.stack import until
from tests.system import System
from worker import clock, lease
from worker.errors import LeaseLost, LeaseOver, Stopped, TimeLimitExceeded
from worker.lease import Lease
from worker.scan import ScannerInfo, Status

TEXT = b"hello"


def _claimed(system: System) -> str:
    scan = system.upload(TEXT)
    system.amend(scan.id, status="scanning", token="ours", lease_until=clock.now() + timedelta(seconds=3))
    return scan.id


def _lease(system: System, scan_id: str, interrupt: Callable[[], None] = lambda: None, **seconds: float) -> Lease:
    times: dict[str, Any] = {"seconds": 1.0, "limit": 60.0} | seconds
    return Lease(system.database, system.scan(scan_id), begun=clock.elapsed(), interrupt=interrupt, **times)


def test_a_lease_is_renewed_while_work_goes_on(system: System) -> None:
    scan_id = _claimed(system)
    first = system.scan(scan_id).lease_until
    assert first is not None
    with _lease(system, scan_id) as held:
        until(lambda: (system.scan(scan_id).lease_until or first) > first, 10, "a renewal beyond the first lease")
        held.check(needed=0.1)


def test_a_lease_that_another_has_taken_is_lost(system: System) -> None:
    scan_id = _claimed(system)
    interrupted = threading.Event()
    with _lease(system, scan_id, interrupted.set) as held:
        system.amend(scan_id, token="theirs")
        assert interrupted.wait(10)
        with pytest.raises(LeaseLost):
            held.check()
    assert system.scan(scan_id).token == "theirs"


def test_a_lease_that_cannot_be_renewed_is_over(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    scan_id = _claimed(system)
    monkeypatch.setattr(Lease, "_renew_on", lambda _self: None)
    with _lease(system, scan_id) as held:
        held.check(needed=0.5)
        with pytest.raises(LeaseOver):
            held.check(needed=2)
        until(lambda: held.fault is not None, 10, "the end of the lease")
        with pytest.raises(LeaseOver):
            held.check()


def test_no_effect_outlives_the_lease(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call to the store has no time-out as a whole; the process that makes it has."""
    scan_id = _claimed(system)
    died = threading.Event()
    monkeypatch.setattr(Lease, "_renew_on", lambda _self: None)
    monkeypatch.setattr(lease, "_die", died.set)
    with _lease(system, scan_id) as held:
        assert not died.wait(2), "nothing is written yet: the work ends by itself"
        with held.effects():
            assert died.wait(10)


@pytest.mark.parametrize(("limit", "stop", "fault"), [(0.5, False, TimeLimitExceeded), (60, True, Stopped)])
def test_work_that_must_end_is_interrupted(system: System, limit: float, stop: bool, fault: type[Exception]) -> None:
    interrupted = threading.Event()
    with _lease(system, _claimed(system), interrupted.set, seconds=30, limit=limit) as held:
        if stop:
            held.stop()
        assert interrupted.wait(10)
        with pytest.raises(fault):
            held.check()


@contextmanager
def _silent_scanner() -> Iterator[str]:
    """Takes a file and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def waiting(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., System]]:
    """A system whose scanner is trusted and never answers."""
    made: list[System] = []
    with _silent_scanner() as address:

        def make(**settings: float) -> System:
            made.append(system.with_settings(clamd=(address,), **settings))
            info = ScannerInfo("ClamAV 1.4.6", None, None, development=True)
            monkeypatch.setattr(made[-1].parts.scanners, "_trusted", lambda _endpoint: info)
            return made[-1]

        yield make
    for each in made:
        each.parts.close()


def _open_files() -> list[str]:
    """What this process has open, by name."""
    return [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]


def test_a_scan_past_its_time_limit_stops(waiting: Callable[..., System]) -> None:
    system = waiting(scan_timeout=1.0)
    scan = system.upload(TEXT)
    begun = time.monotonic()
    late = system.work(scan.id)
    assert time.monotonic() - begun < 5
    assert (late.status, late.attempts, late.setbacks) == (Status.QUEUED, 1, 1)
    assert late.error is not None
    assert late.error["code"] in ("time_limit_exceeded", "scanner_failed")
    assert [each for each in _open_files() if "memfd:lazaretto" in each] == []


def test_a_stopped_worker_hands_its_scan_back(waiting: Callable[..., System]) -> None:
    system = waiting()
    scan = system.upload(TEXT)
    at_work = threading.Thread(target=system.parts.pipeline.run, args=[scan.id])
    at_work.start()
    until(lambda: system.scan(scan.id).status is Status.SCANNING, 10, "the claim")
    system.parts.pipeline.stop()
    at_work.join(10)
    back = system.scan(scan.id)
    assert (back.status, back.attempts, back.token) == (Status.QUEUED, 0, None)
    assert back.error is not None
    assert back.error["code"] == "worker_stopped"
    assert back.due_at is not None
    assert back.due_at <= clock.now()
    assert system.work(scan.id).status is Status.QUEUED, "a stopping worker begins nothing"


def test_a_scan_that_was_lost_is_looked_after_once_more(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loses a scan may have a call to the store under way: what it writes is found one lease later."""
    scan = system.upload(TEXT)
    settle = system.parts.pipeline._settler.settle

    def overtaken(*arguments: object) -> None:
        settle(*arguments)  # type: ignore[arg-type]
        system.amend(scan.id, token="theirs")

    monkeypatch.setattr(system.parts.pipeline._settler, "settle", overtaken)
    lost = system.work(scan.id)
    assert (lost.status, lost.token) == (Status.SETTLING, "theirs")
    assert lost.tidy_at is not None
    assert lost.tidy_at > clock.now()
