"""Stopping and restarting, as operators and service managers do it: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests import processes
from tests.stack import Stack, until

# What is in their command lines.
API, WORKER, SCANNER, SANDBOX = (
    "/uvicorn ",
    "/celery -A worker.tasks worker --queues scans ",
    "/clamd ",
    "worker.sandbox.server",
)  # in command lines
POOL = 2  # processes of the worker
STOP_SECONDS = 8
PACE = 0.25  # seconds between two uploads of a client
END_SECONDS = 8  # more, until the last process has ended
PATIENCE = 60  # seconds
AT_ONCE = ("receiving", "queued", "scanning", "settling", "clean")  # the path of a scan that nothing stopped


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Stack]:
    """One of our own: these tests end its parts."""
    settings = {"LAZARETTO_WORKERS": str(POOL), "LAZARETTO_STOP_SECONDS": str(STOP_SECONDS)}
    with Stack.started(tmp_path_factory.mktemp("stop"), development_signatures, **settings) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        _await_complete(stack, client)
        yield client


def _await_complete(stack: Stack, http: httpx.Client) -> None:
    """Wait until the supervisor has brought back whatever had ended."""
    until(lambda: _ready(http) and len(_pool(stack)) == POOL, PATIENCE, "the stack is complete")


def _ready(http: httpx.Client) -> bool:
    with suppress(httpx.ConnectError):
        return bool(http.get("/readyz").json()["status"] == "ok")
    return False


def _pool(stack: Stack) -> set[int]:
    """The worker's processes that do scans, without their sandboxes."""
    worker = {pid for pid in stack.pids if WORKER in processes.command(pid)}
    return worker - {processes.oldest(worker)} if worker else set()


def _put(http: httpx.Client, name: str = "a.txt") -> str:
    answer = http.put(f"/v1/uploads/{name}", content=f"{os.urandom(8).hex()}\n".encode())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _scan(http: httpx.Client, scan_id: str) -> dict[str, Any]:
    answer = http.get(f"/v1/scans/{scan_id}")
    assert answer.status_code == 200, answer.text
    scan: dict[str, Any] = answer.json()
    return scan


def _ended(http: httpx.Client, scan_id: str) -> dict[str, Any]:
    scan: dict[str, Any] = http.get(f"/v1/scans/{scan_id}", params={"wait": PATIENCE}).json()
    assert scan["finished_at"], f"{scan} has not ended in {PATIENCE} s"
    return scan


def _story(http: httpx.Client, scan_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = http.get(f"/v1/scans/{scan_id}/events").json()["items"]
    return events


def _path(http: httpx.Client, scan_id: str) -> tuple[str, ...]:
    return tuple(event["to"] for event in _story(http, scan_id))


@contextmanager
def _slow_scans(stack: Stack, http: httpx.Client, count: int, *also: str) -> Iterator[list[str]]:
    """So many scans at work that last until the end of the block: their scanner stands still, and other parts."""
    for _ in range(10):
        _warm_up(http)
        with processes.standing_still(_named(stack, SCANNER, *also)):
            scans = [_put(http) for _ in range(count)]
            if _at_work(http, scans):
                yield scans
                return
        _await_all_ended(http)  # the scanner was due to be asked for its version, as every five seconds
    pytest.fail("no scan is begun")


def _warm_up(http: httpx.Client) -> None:
    """Each process of the worker does a scan: it has a sandbox then, and trusts the scanner."""
    at_work: set[str] = set()
    with ThreadPoolExecutor(POOL) as pool:
        while len(at_work) < POOL:
            ended = pool.map(lambda _: _ended(http, _put(http))["id"], range(POOL))
            at_work |= {event["actor"] for each in ended for event in _story(http, each) if event["to"] == "scanning"}


def _named(stack: Stack, *parts: str) -> set[int]:
    """Those of its processes in whose command lines one of these stands."""
    return {pid for pid in stack.pids for part in parts if part in processes.command(pid)}


def _at_work(http: httpx.Client, scans: list[str]) -> bool:
    """Have all of them been begun, or can none be begun now?"""
    until(
        lambda: all(_scan(http, each)["status"] != "queued" or _scan(http, each)["error"] for each in scans),
        PATIENCE,
        "all are at work or postponed",
    )
    return {_scan(http, each)["status"] for each in scans} == {"scanning"}


def _await_all_ended(http: httpx.Client) -> None:
    until(lambda: not _under_way(http), PATIENCE, "everything has ended")


def _under_way(http: httpx.Client) -> list[dict[str, Any]]:
    query = {"status": ["receiving", "queued", "scanning", "settling"]}
    scans: list[dict[str, Any]] = http.get("/v1/scans", params=query).json()["items"]
    return scans


def _await_stopping(stack: Stack) -> None:
    """Celery ends the process that does nothing when it stops, and nobody else does."""
    until(lambda: len(_pool(stack)) == POOL - 1, STOP_SECONDS - 2, "the worker has begun to stop")


def _await_end(pids: frozenset[int], seconds: float) -> None:
    until(lambda: not any(processes.alive(pid) for pid in pids), seconds, "nothing of it is left")


def _deaths(stack: Stack, name: str) -> list[str]:
    """How a part ended, every time, in the supervisor's words."""
    said = f"lazaretto: {name} died ("
    return [line.removeprefix(said).split(")")[0] for line in stack.said.splitlines() if line.startswith(said)]


def _await_death(stack: Stack, name: str, before: list[str]) -> str:
    """How a part has ended since then."""
    until(lambda: len(_deaths(stack, name)) > len(before), PATIENCE, f"the {name} has ended")
    return _deaths(stack, name)[-1]


def test_api_and_worker_restart_one_by_one_under_load(stack: Stack, http: httpx.Client) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(_upload_until, stack, over) for _ in range(8)]
        try:
            for part in (API, WORKER, API, WORKER):
                _restart(stack, http, part)
        finally:
            over.set()
    accepted = [scan for client in clients for scan in client.result()]
    assert len(accepted) > 100
    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(lambda scan: _ended(http, scan)["status"], accepted))
        paths = Counter(pool.map(lambda scan: _path(http, scan), accepted))
    assert outcomes == {"clean": len(accepted)}
    assert paths == {AT_ONCE: len(accepted)}
    assert _under_way(http) == []
    assert stack.keys("quarantine") == []


def _upload_until(stack: Stack, over: threading.Event) -> list[str]:
    """Upload one file after the other and ask for it, until it is over: what was taken in. That nobody listens is no
    failure; any other is raised."""
    accepted = []
    with stack.client() as client:
        while not over.is_set():
            with suppress(httpx.ConnectError):
                accepted.append(_put(client, "load.txt"))
                _scan(client, accepted[-1])
            over.wait(PACE)
    return accepted


def _restart(stack: Stack, http: httpx.Client, part: str) -> None:
    """End a part, and wait until the supervisor has brought it back."""
    old = stack.named(part)
    os.kill(old, signal.SIGTERM)
    _await_end(frozenset({old}), STOP_SECONDS + END_SECONDS)
    _await_complete(stack, http)


def test_who_waits_is_answered_at_once_when_the_api_stops(stack: Stack, http: httpx.Client) -> None:
    with _slow_scans(stack, http, 1) as (scan,):
        waiting = [_asked(stack, "GET", f"/v1/scans/{scan}?wait=60") for _ in range(3)]
        assert select.select([each.sock for each in waiting], [], [], 1)[0] == []
        api, began = stack.named(API), time.monotonic()
        os.kill(api, signal.SIGTERM)
        for each in waiting:
            answer = each.getresponse()
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            assert b'"scanning"' in answer.read()
        assert time.monotonic() - began < STOP_SECONDS
        _await_end(frozenset({api}), END_SECONDS)
    _await_complete(stack, http)
    assert _ended(http, scan)["status"] == "clean"


def test_an_upload_in_flight_is_taken_in_when_the_api_stops(stack: Stack, http: httpx.Client) -> None:
    upload = _asked(stack, "PUT", "/v1/uploads/flight.txt", **{"Content-Length": "20"})
    upload.send(b"0123456789")
    until(lambda: _newest(http) == ("flight.txt", "receiving"), PATIENCE, "the upload has begun")
    api, deaths = stack.named(API), _deaths(stack, "api")
    os.kill(api, signal.SIGTERM)
    until(lambda: not _listens(stack), PATIENCE, "newcomers are refused")
    assert processes.alive(api)
    upload.send(b"0123456789")
    answer = upload.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (202, "close")
    assert _await_death(stack, "api", deaths) == "killed by SIGTERM"  # uvicorn raises it again, when all is done
    _await_complete(stack, http)
    newest = http.get("/v1/scans", params={"limit": 1}).json()["items"][0]
    assert (newest["filename"], _ended(http, newest["id"])["status"]) == ("flight.txt", "clean")


def _asked(stack: Stack, method: str, path: str, **headers: str) -> HTTPConnection:
    """A connection that has sent the head of a request."""
    address = urlsplit(stack.base_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE)
    connection.putrequest(method, path)
    for name, value in ({"Authorization": f"Bearer {stack.api_key}"} | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def _newest(http: httpx.Client) -> tuple[str, str]:
    newest = http.get("/v1/scans", params={"limit": 1}).json()["items"][0]
    return newest["filename"], newest["status"]


def _listens(stack: Stack) -> bool:
    address = urlsplit(stack.base_url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def test_what_runs_may_finish_also_when_the_whole_group_gets_the_signal(stack: Stack, http: httpx.Client) -> None:
    deaths, worker = _deaths(stack, "worker"), stack.named(WORKER)
    family = processes.family(worker)
    with _slow_scans(stack, http, 1) as (scan,):
        os.killpg(worker, signal.SIGTERM)
        _await_stopping(stack)
        assert _scan(http, scan)["status"] == "scanning"
    _await_end(family, STOP_SECONDS)
    assert _await_death(stack, "worker", deaths) == "exit code 0"
    ended = _ended(http, scan)
    assert (ended["status"], ended["attempts"], _path(http, scan)) == ("clean", 1, AT_ONCE)


def test_what_takes_longer_is_handed_back(stack: Stack, http: httpx.Client) -> None:
    deaths, worker = _deaths(stack, "worker"), stack.named(WORKER)
    with _slow_scans(stack, http, POOL, SANDBOX) as scans:
        family, began = processes.family(worker), time.monotonic()
        os.kill(worker, signal.SIGTERM)
        _await_end(family, STOP_SECONDS + END_SECONDS)
        assert time.monotonic() - began >= STOP_SECONDS
        assert _await_death(stack, "worker", deaths) == "exit code 0"
        for scan in scans:
            handed_back = _scan(http, scan)
            assert (handed_back["status"], handed_back["attempts"]) == ("queued", 0)
    for scan in scans:
        ended = _ended(http, scan)
        assert (ended["status"], ended["attempts"]) == ("clean", 1)
        assert _path(http, scan) == (*AT_ONCE[:3], *AT_ONCE[1:])
    until(lambda: not _scratch_files(stack), PATIENCE, "scratch is gone")


def _scratch_files(stack: Stack) -> list[str]:
    """The files under examination that some process of ours still holds. clamd 1.4 itself never closes a file whose
    client hung up before it came to read the command, as here."""
    held = []
    for pid in stack.pids - {stack.named(SCANNER)}:
        with suppress(FileNotFoundError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError):
                    held.append(str(descriptor.readlink()))
    return [target for target in held if "memfd:lazaretto" in target]


def test_a_second_signal_ends_the_wait_and_loses_nothing(stack: Stack, http: httpx.Client) -> None:
    deaths, worker = _deaths(stack, "worker"), stack.named(WORKER)
    with _slow_scans(stack, http, 1) as (scan,):
        family, began = processes.family(worker), time.monotonic()
        os.kill(worker, signal.SIGINT)
        _await_stopping(stack)
        os.kill(worker, signal.SIGQUIT)
        left = began + STOP_SECONDS - time.monotonic()
        until(lambda: _scan(http, scan)["status"] == "queued", left, "it is handed back at once")
        assert _scan(http, scan)["attempts"] == 0
        _await_end(family, END_SECONDS)
        assert _await_death(stack, "worker", deaths) == "exit code 0"
