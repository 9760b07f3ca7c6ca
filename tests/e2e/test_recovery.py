"""What whole installations recover from by themselves: lost messages, lost servers, files that kill."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis

from tests.clamd_proxy import CRASHES, HOLDS
from tests.site import KEY, Site
from tests.stack import until
from tests.torture import REST_SECONDS, SETTINGS
from worker.keys import sealed_key
from worker.scan import PENDING, Status
from worker.store import events

DEFAULT_ATTEMPTS = {name: value for name, value in SETTINGS.items() if name != "LAZARETTO_MAX_ATTEMPTS"}
UPLOADS = 500
OTHERS = 20
AT_ONCE = ("receiving", "queued", "scanning", "settling", "clean")  # the path of a scan that nothing stopped


@contextmanager
def _folder() -> Iterator[Path]:
    """Short enough for sockets, and open to the accounts that servers run as."""
    with tempfile.TemporaryDirectory(prefix="recovery-", dir="/var/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def site(development_signatures: Path) -> Iterator[Site]:
    """For everything that it recovers from."""
    with (
        _folder() as folder,
        Site.running(folder, development_signatures, DEFAULT_ATTEMPTS, workers=2, postgresql=True) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def fatal(development_signatures: Path) -> Iterator[Site]:
    """A site whose scanner some files are fatal to."""
    with (
        _folder() as folder,
        Site.running(folder, development_signatures, DEFAULT_ATTEMPTS, workers=3, fatal=True) as running,
    ):
        yield running


def _put(site: Site, name: str, data: bytes) -> httpx.Response:
    return httpx.put(
        f"{site.url}/v1/uploads/{name}", content=data, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
    )


def _scan(site: Site, scan_id: str, wait: int = 0) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = httpx.get(f"{site.url}/v1/scans/{scan_id}?wait={wait}", headers=headers, timeout=90)
    scan: dict[str, Any] = answer.json()
    return scan


def _rest(site: Site) -> None:
    until(lambda: not site.ids(PENDING) and not site.untidy(), REST_SECONDS, "everything at rest")


def test_what_redis_lost_while_no_worker_ran_reaches_its_outcome(site: Site) -> None:
    before = len(site.ids([Status.CLEAN]))
    with site.away("worker"):
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda number: _put(site, "a.txt", f"number {number}".encode()), range(UPLOADS))
            assert {answer.status_code for answer in answers} == {202}
        assert len(site.ids([Status.QUEUED])) == UPLOADS
        with redis.Redis.from_url(site.variables["LAZARETTO_REDIS_URL"]) as client:
            client.flushall()
    _rest(site)
    assert len(site.ids([Status.CLEAN])) == before + UPLOADS


def test_uploads_are_taken_in_while_redis_is_away_and_flow_when_it_is_back(site: Site) -> None:
    before = len(site.ids([Status.CLEAN]))
    with site.away("redis"):
        assert [_put(site, "a.txt", b"hello").status_code for _ in range(5)] == [202] * 5
        assert len(site.ids([Status.CLEAN])) == before
    _rest(site)
    assert len(site.ids([Status.CLEAN])) == before + 5


@pytest.mark.parametrize("server", ["postgresql", "seaweedfs"])
def test_without_database_or_store_nothing_is_accepted_or_half_recorded(site: Site, server: str) -> None:
    before = len(site.ids([Status.CLEAN]))
    with site.away(server):
        answer = _put(site, "a.txt", b"hello")
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)
        assert int(answer.headers["retry-after"]) > 0
    until(lambda: _put(site, "a.txt", b"hello").status_code == 202, 60, "uploads being accepted again")
    _rest(site)
    assert len(site.ids([Status.CLEAN])) == before + 1
    assert list(site.objects.keys("quarantine")) == []


def _others(site: Site, at_once: int) -> list[str]:
    """Files that have become clean meanwhile, so many at a time."""

    def pass_through(number: int) -> str:
        scan = _scan(site, _put(site, "a.txt", f"other {number} {uuid4()}".encode()).json()["id"], wait=60)
        assert scan["status"] == "clean", scan
        return str(scan["id"])

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(pass_through, range(OTHERS)))


def _path(site: Site, scan_id: str) -> tuple[str, ...]:
    with site.database.read() as connection:
        return tuple(event.target.value for event in events.of(connection, scan_id))


def _assassin(site: Site, scan_id: str, over: threading.Event) -> None:
    """Kills whichever process has the scan: as good as a file that crashes it."""
    killed = set()
    while not over.wait(0.05):
        with site.database.read() as connection:
            claims = [event for event in events.of(connection, scan_id) if event.target is Status.SCANNING]
        for event in claims:
            host, pid = event.actor.removeprefix("worker ").split("/")
            if event.at not in killed:
                assert host == socket.gethostname()
                killed.add(event.at)
                os.kill(int(pid), signal.SIGKILL)


def test_a_file_that_kills_its_worker_fails_in_the_end_and_holds_up_nobody(fatal: Site) -> None:
    poison, over = _put(fatal, "poison.txt", HOLDS).json()["id"], threading.Event()
    assassin = threading.Thread(target=_assassin, args=[fatal, poison, over])
    assassin.start()
    others = _others(fatal, at_once=4)
    assert poison in fatal.ids(PENDING), "they came past it"
    until(lambda: poison in fatal.ids([Status.FAILED]), 120, "the end of the poison")
    over.set()
    assassin.join()
    scan = _scan(fatal, poison)
    assert (scan["attempts"], scan["error"]["message"]) == (3, "worker lost 3 times")
    assert fatal.objects.head("quarantine", sealed_key(poison)) is not None
    assert {_path(fatal, each) for each in others} == {AT_ONCE}


def test_a_file_that_crashes_its_scanner_fails_in_the_end_and_holds_up_few(fatal: Site) -> None:
    """Those that come while the scanner is away are postponed, the others never."""
    poison = _put(fatal, "poison.txt", CRASHES).json()["id"]
    others = _others(fatal, at_once=1)
    until(lambda: poison in fatal.ids([Status.FAILED]), 120, "the end of the poison")
    scan = _scan(fatal, poison)
    assert (scan["attempts"], scan["error"]["code"]) == (3, "scanner_failed")
    assert fatal.objects.head("quarantine", sealed_key(poison)) is not None
    assert Counter(_path(fatal, each) for each in others)[AT_ONCE] > OTHERS / 2
