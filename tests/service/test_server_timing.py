"""What a request takes of the database and the store is told in its answer, and stays within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from tests.server import Server
from tests.system import System

HEADER = re.compile(
    r'total;dur=(?P<total>\d+\.\d), db;dur=(?P<db>\d+\.\d);desc="(?P<transactions>\d+) transactions, '
    r'(?P<statements>\d+) statements"(, store;dur=(?P<store>\d+\.\d))?'
)


class Cost(NamedTuple):
    """Of a request; the look-up of its key is one of each."""

    transactions: int
    statements: int
    store: bool  # is it called?


COSTS = {
    "upload": Cost(3, 5, store=True),  # the row and its event, the bytes' arrival and its event
    "read": Cost(2, 2, store=False),
    "list": Cost(2, 3, store=False),
    "wait": Cost(2, 2, store=False),  # for one that has ended
    "events": Cost(3, 3, store=False),
    "erase": Cost(4, 6, store=True),
}


@pytest.fixture
def client(system: System) -> Iterator[httpx.Client]:
    settings = system.settings.model_copy(update={"max_waiting": 0})  # or one upload a second counts those that wait
    with Server(settings) as server, server.client() as client:
        client.get("/v1/scans")  # which also has the first use of the key put on record
        yield client


def test_each_request_stays_within_its_bounds(system: System, client: httpx.Client) -> None:
    upload = client.put("/v1/uploads/a.txt", content=b"hello")
    scan = f"/v1/scans/{upload.json()['id']}"
    system.deliver()
    answers = {
        "upload": upload,
        "read": client.get(scan),
        "list": client.get("/v1/scans", params={"limit": 10}),
        "wait": client.get(scan, params={"wait": 20}),
        "events": client.get(f"{scan}/events"),
        "erase": client.delete(scan),
    }
    assert {name: _cost(answer) for name, answer in answers.items()} == COSTS


def test_who_shows_no_key_is_told_nothing(client: httpx.Client) -> None:
    answers = [
        client.get("/healthz"),
        client.get("/v1/scans", headers={"Authorization": "Bearer nobody's"}),
        client.get("/no-such-page"),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404]
    assert not any("Server-Timing" in answer.headers for answer in answers)


def test_a_refusal_tells_it_too(client: httpx.Client) -> None:
    answer = client.get("/v1/scans/0199c3d2-7c1f-7a52-9b1e-4d5f60718293")
    assert (answer.status_code, _cost(answer)) == (404, COSTS["read"])


def _cost(answer: httpx.Response) -> Cost:
    told = HEADER.fullmatch(answer.headers["Server-Timing"])
    assert told, answer.headers["Server-Timing"]
    assert float(told["total"]) > 0
    return Cost(int(told["transactions"]), int(told["statements"]), told["store"] is not None)
