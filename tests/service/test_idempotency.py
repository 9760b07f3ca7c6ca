"""Requests that are sent again: however often, however fast, they lead to one scan."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select

from tests.calendar import Calendar
from tests.server import Server
from tests.stack import until
from tests.system import KEY, System
from worker import idempotency
from worker.errors import DatabaseUnavailable
from worker.idempotency import KeyInFlight
from worker.services import Scope
from worker.store import idempotency as stored
from worker.store import services
from worker.store.idempotency import Bound, Held
from worker.store.tables import idempotency_keys

ROUTE = "PUT /v1/uploads/{filename:anything}"


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


def _put(
    client: httpx.Client, data: bytes = b"hello", *, key: str = "key-1", name: str = "a.txt", kind: str = "text/plain"
) -> httpx.Response:
    return client.put(f"/v1/uploads/{name}", content=data, headers={"Idempotency-Key": key, "Content-Type": kind})


def _post(client: httpx.Client, data: bytes = b"hello", metadata: str | None = None) -> httpx.Response:
    files = {"file": ("a.txt", data, "text/plain")}
    fields = {"metadata": metadata} if metadata else {}
    return client.post("/v1/uploads", files=files, data=fields, headers={"Idempotency-Key": "key-1"})


def _keys(system: System) -> list[Any]:
    with system.database.read() as connection:
        return list(connection.execute(select(idempotency_keys)).all())


def _is(answer: httpx.Response, status: int, code: str, *, retryable: bool) -> None:
    assert answer.status_code == status, answer.text
    assert (answer.json()["code"], answer.json()["retryable"]) == (code, retryable)
    assert ("Retry-After" in answer.headers) is retryable


def test_the_same_upload_again_is_the_same_scan_as_it_is_now(system: System, client: httpx.Client) -> None:
    first = _put(client)
    assert first.status_code == 202, first.text
    system.work(first.json()["id"])
    again = _put(client)
    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "clean")
    assert len(system.all()) == 1
    assert system.quarantined() == []


def test_a_form_is_the_same_with_another_boundary_and_order_of_metadata(system: System, client: httpx.Client) -> None:
    first = _post(client, metadata='{"a": 1, "b": [true, "x"]}')
    again = _post(client, metadata='{"b":[true,"x"],"a":1}')
    assert first.request.headers["Content-Type"] != again.request.headers["Content-Type"]
    assert first.json()["id"] == again.json()["id"]
    assert len(system.all()) == 1


def test_another_upload_with_the_same_key_is_refused(system: System, client: httpx.Client) -> None:
    _put(client)
    for other in ({"data": b"hellO"}, {"data": b""}, {"name": "b.txt"}, {"kind": "text/html"}):
        _is(_put(client, **other), 409, "idempotency_key_reused", retryable=False)
    assert len(system.all()) == 1
    assert len(system.quarantined()) == 1


def test_another_route_or_other_metadata_is_another_request(system: System, client: httpx.Client) -> None:
    assert _post(client, metadata='{"a": 1}').status_code == 202
    _is(_post(client, metadata='{"a": 2}'), 409, "idempotency_key_reused", retryable=False)
    _is(_post(client), 409, "idempotency_key_reused", retryable=False)
    _is(_put(client), 409, "idempotency_key_reused", retryable=False)


def test_each_service_has_keys_of_its_own(system: System, server: Server, client: httpx.Client) -> None:
    with system.database.write() as connection:
        services.add(connection, "other")
        services.add_key(
            connection,
            key_hash=sha256(b"other-key").hexdigest(),
            prefix="other",
            service="other",
            scopes=[Scope.SUBMIT.value],
        )
    with server.client("other-key") as other:
        assert _put(client).json()["id"] != _put(other, b"something else").json()["id"]


def test_what_is_no_key_is_a_problem(system: System, client: httpx.Client) -> None:
    for key in (b"", b"a b", b"x" * 256, b"\xc3\xa4", b"a\tb"):
        answer = client.put("/v1/uploads/a.txt", content=b"x", headers={b"Idempotency-Key": key})
        assert answer.status_code == 422
        assert "header Idempotency-Key" in answer.json()["detail"]
    assert system.all() == []


def test_the_longest_key_works(client: httpx.Client) -> None:
    key = "".join(chr(code) for code in range(0x21, 0x7F)).ljust(255, "~")
    assert _put(client, key=key).json()["id"] == _put(client, key=key).json()["id"]


def test_fifty_at_once_lead_to_one_scan(system: System, server: Server) -> None:
    barrier = threading.Barrier(50)

    def send(_number: int) -> httpx.Response:
        with server.client() as client:
            barrier.wait()
            return _put(client, b"x" * 100_000)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(send, range(50)))
    accepted = [answer for answer in answers if answer.status_code == 202]
    for answer in answers:
        if answer.status_code != 202:
            _is(answer, 409, "idempotency_in_flight", retryable=True)
    assert len({answer.json()["id"] for answer in accepted}) == 1
    assert len(system.all()) == 1


def _head(key: str, length: int) -> bytes:
    return (
        f"PUT /v1/uploads/a.txt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: text/plain\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def test_a_broken_upload_is_repeated_with_its_key(system: System, server: Server, client: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as broken:
        broken.sendall(_head("key-1", 5) + b"he")
        until(lambda: len(_keys(system)) == 1, 5, "the reservation")
        _is(_put(client), 409, "idempotency_in_flight", retryable=True)
    until(lambda: _keys(system) == [], 5, "the key to be free")
    assert _put(client).status_code == 202
    assert sorted(scan.status.value for scan in system.all()) == ["expired", "queued"]


def test_a_refused_upload_frees_its_key(system: System, server: Server) -> None:
    path = system.settings.home / "policy.toml"
    path.write_text('[default]\ntypes = ["text/plain"]\nmax_size = "10 B"\nmax_pixels = 1\nmax_frames = 1\n')
    with Server(system.settings.model_copy(update={"policy_file": path})) as small, small.client() as client:
        _is(_put(client, b"x" * 11), 413, "file_too_large", retryable=False)
        assert _keys(system) == []
        assert _post(client, metadata="no JSON").status_code == 422
        assert _keys(system) == []
        assert _put(client, b"x" * 10).status_code == 202
        _is(_put(client, b"x" * 11), 413, "file_too_large", retryable=False)


def test_a_key_whose_process_was_killed_is_free_after_a_lease(
    system: System, client: httpx.Client, calendar: Calendar
) -> None:
    lease = timedelta(seconds=system.settings.receive_lease)
    lost = idempotency.reserve(system.database, "default", "key-1", ROUTE, lease)
    _is(_put(client), 409, "idempotency_in_flight", retryable=True)
    calendar.pass_time(system.settings.receive_lease + 1)
    accepted = _put(client)
    assert accepted.status_code == 202
    with pytest.raises(KeyInFlight), system.database.write() as connection:  # the first was not dead after all
        lost.bind(connection, accepted.json()["id"], {})
    with pytest.raises(KeyInFlight), system.database.write() as connection:
        lost.renew(connection)
    lost.release()
    assert _put(client).json()["id"] == accepted.json()["id"]


def test_an_upload_that_was_overtaken_is_not_accepted(
    system: System, server: Server, client: httpx.Client, calendar: Calendar
) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(_head("key-1", 5) + b"he")
        until(lambda: len(_keys(system)) == 1, 5, "the reservation")
        calendar.pass_time(system.settings.receive_lease + 1)
        assert _put(client).status_code == 202
        slow.sendall(b"llo")
        answer = HTTPResponse(slow)
        answer.begin()
        assert answer.status == 409
        assert json.loads(answer.read())["code"] == "idempotency_in_flight"
    assert sorted(scan.status.value for scan in system.all()) == ["expired", "queued"]
    assert len(system.quarantined()) == 1


def test_an_upload_whose_commit_was_lost_on_the_way_is_found_again(
    system: System, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database accepted it and went away before it could say so."""
    real = stored.bind
    lost = threading.Event()

    def bind(connection: Connection, held: Held, what: Bound, now: datetime) -> bool:
        done = real(connection, held, what, now)
        connection.commit()
        if not lost.is_set():
            lost.set()
            raise DatabaseUnavailable
        return done

    monkeypatch.setattr(stored, "bind", bind)
    answer = _put(client)
    assert (answer.status_code, answer.json()["retryable"]) == (503, True)
    again = _put(client)
    assert again.status_code == 202
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(system.all()) == 1


def test_keys_are_kept_for_a_day(system: System, client: httpx.Client, calendar: Calendar) -> None:
    first = _put(client).json()["id"]
    calendar.pass_time(23 * 3600)
    system.sweep()
    assert _put(client).json()["id"] == first
    calendar.pass_time(3600 + 1)
    assert _put(client, b"something else").json()["id"] != first  # also before the sweeper has been there
    calendar.pass_time(24 * 3600 + 1)
    assert system.sweep().keys_forgotten == 1
    assert _keys(system) == []


def test_the_sweeper_leaves_a_key_in_flight_alone(system: System, calendar: Calendar) -> None:
    day = idempotency.KEPT
    idempotency.reserve(system.database, "default", "key-1", ROUTE, day * 2)
    calendar.pass_time(day.total_seconds() + 1)
    assert system.sweep().keys_forgotten == 0
    with pytest.raises(KeyInFlight):
        idempotency.reserve(system.database, "default", "key-1", ROUTE, day)
