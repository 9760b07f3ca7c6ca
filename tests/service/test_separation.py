"""Two services side by side: neither reads, lists, erases or guesses anything of the other's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server import Server
from tests.system import System
from worker.services import Scope

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite"], indirect=True
)  # tests/contract has the queries on both

UNKNOWN = "01900000-0000-7000-8000-000000000000"
Clients = tuple[httpx.Client, httpx.Client]


@pytest.fixture
def clients(system: System) -> Iterator[Clients]:
    """Of two services."""
    keys = [system.key_of(service) for service in ("one", "two")]
    with Server(system.settings) as server, server.client(keys[0]) as one, server.client(keys[1]) as two:
        yield one, two


@pytest.fixture
def theirs(system: System, clients: Clients) -> dict[str, Any]:
    """A clean scan of the other service."""
    scan: dict[str, Any] = clients[1].put("/v1/uploads/secret-plan.txt", content=b"hello").json()
    system.work(scan["id"])
    answer: dict[str, Any] = clients[1].get(f"/v1/scans/{scan['id']}").json()
    assert answer["status"] == "clean"
    return answer


def _routes(client: httpx.Client) -> list[tuple[str, str]]:
    """Every route that names a scan, as the API itself lists them: a new one is tried without being asked."""
    paths = client.get("/openapi.json").json()["paths"]
    return [(method, path) for path, methods in paths.items() if "{scan_id}" in path for method in methods]


def test_no_route_tells_a_foreign_scan_from_none(system: System, clients: Clients, theirs: dict[str, Any]) -> None:
    one, two = clients
    routes = _routes(one)
    assert len(routes) >= 4
    for method, path in routes:
        foreign = one.request(method, path.replace("{scan_id}", theirs["id"]))
        unknown = one.request(method, path.replace("{scan_id}", UNKNOWN))
        assert foreign.status_code == unknown.status_code, path
        assert foreign.status_code in {403, 404}, path
        shown, nothing = foreign.json(), unknown.json()
        for problem, scan_id in ((shown, theirs["id"]), (nothing, UNKNOWN)):
            problem["detail"] = problem["detail"].replace(scan_id, "ID")
            del problem["request_id"]
        assert shown == nothing
        assert set(foreign.headers) == set(unknown.headers)
    after = two.get(f"/v1/scans/{theirs['id']}").json()
    assert after == theirs
    assert len(system.promoted()) == 1


def test_waiting_for_a_foreign_scan_is_waiting_for_none(clients: Clients, theirs: dict[str, Any]) -> None:
    answers = [clients[0].get(f"/v1/scans/{scan_id}", params={"wait": 30}) for scan_id in (theirs["id"], UNKNOWN)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert all(answer.elapsed.total_seconds() < 5 for answer in answers)


def test_no_filter_leads_to_a_foreign_scan(clients: Clients, theirs: dict[str, Any]) -> None:
    one, _ = clients
    own = one.put("/v1/uploads/own.txt", content=b"hello").json()  # the very same bytes
    filters: list[dict[str, Any]] = [
        {},
        {"id": theirs["id"]},
        {"id": [theirs["id"], own["id"]]},
        {"status": "clean"},
        {"service": "two"},
        {"service": "two", "id": theirs["id"]},
        {"sha256": theirs["sha256"]},
        {"since": theirs["created_at"]},
        {"until": "2999-01-01T00:00:00Z"},
        {"cursor": own["id"]},
        {"limit": 1},
    ]
    for each in filters:
        page = one.get("/v1/scans", params=each)
        assert page.status_code == 200
        assert {item["service"] for item in page.json()["items"]} <= {"one"}, each
        for secret in (theirs["id"], "secret-plan", "two"):
            assert secret not in page.text, each
    assert one.get("/v1/scans", params=[("service", "one"), ("service", "two")]).status_code in {200, 422}


def test_nobody_uploads_in_anothers_name(system: System, clients: Clients) -> None:
    one, _ = clients
    for answer in (
        one.put("/v1/uploads/a.txt?service=two", content=b"a", headers={"X-Service": "two"}),
        one.put("/v1/uploads/..%2Ftwo%2Fa.txt", content=b"a"),
        one.post("/v1/uploads", files={"file": ("../two/a.txt", b"a")}, data={"metadata": '{"service": "two"}'}),
    ):
        assert answer.json()["service"] == "one"
    assert {scan.service for scan in system.all()} == {"one"}


def test_an_operator_reads_and_erases_everything(system: System, clients: Clients, theirs: dict[str, Any]) -> None:
    key = system.key_of("three", tuple(Scope))
    operator = {"Authorization": f"Bearer {key}"}
    one, two = clients
    assert one.get(f"/v1/scans/{theirs['id']}", headers=operator).json() == theirs
    assert one.delete(f"/v1/scans/{theirs['id']}", headers=operator).status_code == 204
    last = two.get(f"/v1/scans/{theirs['id']}/events").json()["items"][-1]
    assert (last["to"], last["actor"]) == ("erased", f"service:three key:{key[:11]}")
    assert system.promoted() == []


def test_a_scope_is_needed_whoever_owns_the_scan(system: System, clients: Clients, theirs: dict[str, Any]) -> None:
    reader = {"Authorization": f"Bearer {system.key_of('two', (Scope.READ,))}"}
    assert clients[0].delete(f"/v1/scans/{theirs['id']}", headers=reader).status_code == 403
    assert len(system.promoted()) == 1
