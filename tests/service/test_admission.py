"""Overload: what there is no room for is refused before its first byte, and told when to come back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.server import Server
from tests.stack import until
from tests.system import KEY, System
from worker import admission
from worker.errors import DatabaseUnavailable
from worker.instruments import Refused, instruments
from worker.lanes import Lane
from worker.scan import Status
from worker.settings import Settings

MOST = 5
ONCE = 30  # uploads at the same time
MIB = 2**20
PLACE = {"filename": "a.txt", "content_type": "text/plain", "size": 5}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """For which a short line is too long."""
    return settings.model_copy(update={"max_waiting": MOST})


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


def _put(client: httpx.Client, key: str | None = None) -> httpx.Response:
    return client.put("/v1/uploads/a.txt", content=b"hello", headers={"Idempotency-Key": key} if key else {})


def _fill(client: httpx.Client) -> None:
    assert [_put(client).status_code for _ in range(MOST)] == [202] * MOST


def _fill_up(client: httpx.Client) -> None:
    """Also with what does not wait: what began within the last second counts as if it did."""
    until(lambda: _put(client).status_code == 503, 10, "a line that is too long")


def _is_refused(answer: httpx.Response, words: str = f"{MOST} files wait") -> None:
    assert answer.status_code == 503, answer.text
    problem = answer.json()
    assert (problem["code"], problem["retryable"]) == ("overloaded", True)
    assert words in problem["detail"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 30


def _turned_away(cause: Refused) -> float:
    return instruments().registry.get_sample_value("lazaretto_uploads_turned_away_total", {"cause": cause}) or 0


def test_past_the_longest_line_every_way_in_is_closed_and_leaves_nothing(system: System, client: httpx.Client) -> None:
    before = _turned_away(Refused.WAITING)
    _fill(client)
    _is_refused(_put(client))
    _is_refused(client.post("/v1/uploads", files={"file": ("a.txt", b"hello", "text/plain")}))
    _is_refused(client.post("/v1/uploads/presigned", json=PLACE))
    assert len(system.all()) == len(system.quarantined()) == MOST
    assert _turned_away(Refused.WAITING) - before == 3


def test_what_lies_in_quarantine_already_is_not_refused(system: System, client: httpx.Client) -> None:
    place = client.post("/v1/uploads/presigned", json=PLACE).json()
    httpx.post(place["url"], data=place["fields"], files={"file": b"hello"}).raise_for_status()
    _fill_up(client)
    assert client.post("/v1/scans", json={"key": place["key"]}).status_code == 202


def test_of_many_at_once_no_more_are_taken_than_may_wait(system: System, server: Server) -> None:
    with server.client() as client, ThreadPoolExecutor(ONCE) as pool:
        answers = list(pool.map(lambda _: _put(client), range(ONCE)))
    assert sorted(each.status_code for each in answers) == [202] * MOST + [503] * (ONCE - MOST)
    assert len(system.all()) == MOST


def test_as_the_line_gets_shorter_uploads_are_taken_again(system: System, client: httpx.Client) -> None:
    _fill(client)
    _is_refused(_put(client))
    system.deliver()
    until(lambda: _put(client).status_code == 202, 10, "room")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["room"]["status"]) == (200, "ok")


def test_who_comes_back_is_told_a_time_by_how_fast_the_line_moves(system: System, client: httpx.Client) -> None:
    _fill(client)
    assert _put(client).headers["Retry-After"] == "30", "nobody knows"
    system.deliver()
    assert 1 <= admission.Admission(system.database, system.settings).look().wait <= MOST


def test_what_was_accepted_before_is_answered_whatever_waits(client: httpx.Client) -> None:
    first = _put(client, "key-1")
    _fill_up(client)
    again = _put(client, "key-1")
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    _is_refused(_put(client, "key-2"))
    _is_refused(_put(client, "key-2"))  # and not in flight: it is free again


def test_readiness_is_degraded_and_sends_nobody_away(client: httpx.Client) -> None:
    _fill(client)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["room"]["status"]) == (200, "degraded")
    assert f"{MOST} files wait" in answer.json()["checks"]["room"]["detail"]


def test_bulk_work_closes_no_door(system: System, client: httpx.Client) -> None:
    for _ in range(MOST):
        system.amend(system.upload(b"hello").id, lane=Lane.BULK)
    assert _put(client).status_code == 202


def test_large_files_in_line_count_as_well(system: System, client: httpx.Client) -> None:
    for _ in range(MOST):
        system.amend(system.upload(b"hello").id, lane=Lane.LARGE)
    _is_refused(_put(client))


def test_the_database_counts_whatever_redis_knows(system: System) -> None:
    nowhere = system.settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    with Server(nowhere) as server, server.client() as client:
        _fill(client)
        _is_refused(_put(client))
    assert {scan.status for scan in system.all()} == {Status.QUEUED}


def test_without_a_limit_any_number_may_wait(system: System) -> None:
    with Server(system.settings.model_copy(update={"max_waiting": 0})) as server, server.client() as client:
        _fill(client)
        assert _put(client).status_code == 202
        assert client.get("/readyz").json()["checks"]["room"]["status"] == "ok"


def test_a_disk_that_is_nearly_full_closes_every_door_until_there_is_room(system: System, small_disk: Path) -> None:
    """A tenth of a small disk is enough, whatever is set."""
    cramped = system.settings.model_copy(update={"scratch_dir": small_disk, "max_waiting": 0})
    with Server(cramped) as server, server.client() as client:
        before = _turned_away(Refused.DISK)
        assert _put(client).status_code == 202
        others = small_disk / "others"
        others.write_bytes(bytes(4 * MIB - 300 * 1024))
        until(lambda: _put(client).status_code == 503, 10, "a look at the disk")
        refused = _put(client)
        _is_refused(refused, "0 MiB are left on a disk")
        assert str(small_disk) not in refused.text
        assert _turned_away(Refused.DISK) - before >= 2
        assert client.get("/readyz").json()["checks"]["room"]["status"] == "degraded"
        others.unlink()
        until(lambda: _put(client).status_code == 202, 10, "another look")


def test_a_look_is_taken_once_a_second_not_of_every_upload(
    system: System, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = list[object](), admission.Admission.look

    def counted(self: admission.Admission) -> Any:
        looks.append(self)
        return look(self)

    monkeypatch.setattr(admission, "_FRESH", 3600.0)
    monkeypatch.setattr(admission.Admission, "look", counted)
    with ThreadPoolExecutor(MOST) as pool:
        assert {each.status_code for each in pool.map(lambda _: _put(client), range(MOST))} == {202}
    assert len(looks) == 1


def test_a_look_that_fails_turns_nobody_away_and_is_waited_for_once(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[object]()

    def failing(self: admission.Admission) -> None:
        looks.append(self)
        raise DatabaseUnavailable

    monkeypatch.setattr(admission, "_FRESH", 3600.0)
    monkeypatch.setattr(admission.Admission, "look", failing)
    _fill(client)
    assert len(looks) == 1


def _asked(server: Server, head: str, body: bytes = b"") -> bytes:
    """Everything that is answered to a client that sends on whatever it is told, until it is hung up on."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=20)) as connection:
        connection.sendall(f"{head}\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        connection.sendall(body)
        answer = b""
        while data := connection.recv(65536):
            answer += data
            if b"}" in data:
                break
    return answer


def test_who_asks_first_whether_to_send_is_told_not_to(server: Server, client: httpx.Client) -> None:
    _fill(client)
    answer = _asked(server, "PUT /v1/uploads/a.txt HTTP/1.1\r\nContent-Length: 1000000\r\nExpect: 100-continue")
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"100 Continue" not in answer


def test_who_sends_on_can_read_the_answer(system: System, server: Server, client: httpx.Client) -> None:
    _fill(client)
    size = 20 * MIB
    answer = _asked(server, f"PUT /v1/uploads/a.txt HTTP/1.1\r\nContent-Length: {size}", bytes(size))
    assert answer.startswith(b"HTTP/1.1 503")
    assert len(system.all()) == MOST
