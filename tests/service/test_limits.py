"""What a policy allows a service to ask for, counted in a real Redis by two API processes; and without Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import httpx
import pytest
from pydantic import SecretStr

from ops.embedded.ports import choose
from tests.server import Server
from tests.stack import until
from tests.system import System
from worker.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # counted in Redis

_LIMITS = """
[services.few.limits]
requests_per_minute = 5

[services.small.limits]
bytes_per_day = "3 MiB"
"""


@pytest.fixture
def limited(system: System) -> Settings:
    return system.with_policy(_LIMITS)


def test_requests_beyond_the_limit_are_told_when_to_come_back(system: System, limited: Settings) -> None:
    key = system.key_of("few")
    with Server(limited) as one, Server(limited) as two, one.client(key) as first, two.client(key) as second:
        answers = [client.get("/v1/scans") for client in (first, second) * 3]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        left = [answer.headers["RateLimit"].split(";")[1] for answer in answers]
        assert left == ["r=4", "r=3", "r=2", "r=1", "r=0", "r=0"]
        assert answers[0].headers["RateLimit-Policy"] == '"requests";q=5;w=60'
        refused = answers[-1]
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        problem = refused.json()
        assert (problem["code"], problem["retryable"]) == ("rate_limited", True)
        assert problem["expected"] == "at most 5 requests in 60 seconds"
        assert first.get("/healthz").status_code == 200
        with one.client(system.key_of("others")) as other:
            assert "RateLimit" not in other.get("/v1/scans").headers
        with one.client(system.key_of("few")) as same_service:
            assert same_service.get("/v1/scans").status_code == 429


def test_of_many_requests_at_once_no_more_pass_than_allowed(system: System, limited: Settings) -> None:
    key = system.key_of("few")
    with Server(limited) as server, server.client(key) as client, ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: client.get("/v1/scans").status_code, range(40)))
    assert statuses.count(200) == 5


def test_bytes_of_a_day_are_used_up_once(system: System, limited: Settings) -> None:
    mebibyte = bytes(1 << 20)
    with Server(limited) as server, server.client(system.key_of("small")) as client:
        assert client.put("/v1/uploads/a.txt", content=2 * mebibyte).status_code == 202
        refused = client.put("/v1/uploads/b.txt", content=2 * mebibyte)
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert refused.json()["retryable"]
        assert 0 < int(refused.headers["Retry-After"]) <= 86400
        assert client.put("/v1/uploads/c.txt", content=mebibyte).status_code == 202  # the refusal cost nothing
        assert client.put("/v1/uploads/d.txt", content=b"x").status_code == 429
        never = client.put("/v1/uploads/e.txt", content=4 * mebibyte)
        assert (never.status_code, never.json()["retryable"]) == (413, False)
    assert [scan.filename for scan in system.all() if scan.status == "queued"] == ["c.txt", "a.txt"]


def test_a_body_of_unknown_size_is_cut_off_where_the_quota_ends(system: System, limited: Settings) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 << 20:
            sent += 65536
            yield bytes(65536)

    with Server(limited) as server, server.client(system.key_of("small")) as client:
        with suppress(httpx.WriteError):  # the answer came while we were still sending
            assert client.put("/v1/uploads/a.txt", content=endless()).status_code == 429
        form = {"file": ("b.txt", b"12345")}
        assert client.post("/v1/uploads", files=form).status_code in (202, 429)
    assert all(scan.size is None or scan.size < 1 << 20 for scan in system.all())
    system.sweep()
    assert system.all()[-1].status == "expired"


def _have_expired(system: System, number: int) -> bool:
    return [scan.status for scan in system.all()] == ["expired"] * number


def test_bytes_of_an_upload_that_breaks_off_count(system: System, limited: Settings) -> None:
    """Of unknown size, and too few to be counted on the way: else hanging up would be a way around the quota."""

    def broken() -> Iterator[bytes]:
        yield bytes(800_000)
        while not (begun := system.all()) or begun[0].status != "receiving":
            time.sleep(0.02)
        raise ConnectionAbortedError

    with Server(limited) as server, server.client(system.key_of("small")) as client:
        for number in range(1, 4):
            with pytest.raises(ConnectionAbortedError):
                client.put("/v1/uploads/a.txt", content=broken())
            until(partial(_have_expired, system, number), 10, "the upload to break off")
        assert client.put("/v1/uploads/b.txt", content=bytes(1 << 20)).status_code == 429


def test_without_redis_every_request_passes_and_none_waits(system: System, limited: Settings) -> None:
    nobody = SecretStr(f"redis://127.0.0.1:{choose(['x'])['x']}/0")
    settings = limited.model_copy(update={"redis_url": nobody})
    with Server(settings) as server, server.client(system.key_of("few")) as client:
        begun = time.monotonic()
        assert {client.get("/v1/scans").status_code for _ in range(20)} == {200}
        assert client.put("/v1/uploads/a.txt", content=b"hello").status_code == 202
        assert time.monotonic() - begun < 2 * settings.connect_timeout
