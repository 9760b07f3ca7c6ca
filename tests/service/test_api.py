"""The API on a real socket: who may see what, and what it says when something else is away."""

from __future__ import annotations

import re
import threading
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tests.server import Server
from tests.system import SERVICE, System
from worker import clock
from worker.services import Scope

ALL = tuple(Scope)


def _key(system: System, service: str, scopes: tuple[Scope, ...] = (Scope.SUBMIT, Scope.READ)) -> str:
    return system.key_of(service, scopes)


def _upload(client: httpx.Client, data: bytes = b"hello") -> dict[str, Any]:
    answer = client.put("/v1/uploads/a.txt", content=data)
    assert answer.status_code == 202, answer.text
    scan: dict[str, Any] = answer.json()
    return scan


def test_one_service_sees_nothing_of_another(system: System, server: Server) -> None:
    with server.client(_key(system, "one")) as one, server.client(_key(system, "two")) as two:
        mine, theirs = _upload(one), _upload(two)
        assert (mine["service"], theirs["service"]) == ("one", "two")
        for path in ("", "/events", "/content"):
            unknown = one.get(f"/v1/scans/{mine['id'][:-1]}x{path}")
            foreign = one.get(f"/v1/scans/{theirs['id']}{path}")
            assert foreign.status_code == unknown.status_code == 404
            assert foreign.json()["code"] == unknown.json()["code"] == "scan_not_found"
        assert one.get(f"/v1/scans/{theirs['id']}", params={"wait": 1}).status_code == 404
        for query in ({}, {"id": theirs["id"]}, {"sha256": theirs["sha256"]}, {"cursor": theirs["id"]}):
            seen = {item["service"] for item in one.get("/v1/scans", params=query).json()["items"]}
            assert seen <= {"one"}
        assert one.get("/v1/scans", params={"service": "two"}).json() == {"items": [], "next_cursor": None}


def test_an_operator_sees_every_service(system: System, server: Server) -> None:
    with server.client(_key(system, "one")) as one, server.client() as operator:
        scan = _upload(one)
        assert operator.get(f"/v1/scans/{scan['id']}").status_code == 200
        listed = operator.get("/v1/scans", params={"service": "one"}).json()["items"]
        assert [item["id"] for item in listed] == [scan["id"]]


@pytest.mark.parametrize(
    ("scopes", "submit", "read"), [((Scope.SUBMIT,), 202, 403), ((Scope.READ,), 403, 200), ((Scope.OPERATE,), 403, 403)]
)
def test_scopes(system: System, server: Server, scopes: tuple[Scope, ...], submit: int, read: int) -> None:
    with server.client(_key(system, "one", scopes)) as client:
        answers = client.put("/v1/uploads/a.txt", content=b"x"), client.get("/v1/scans")
    assert [answer.status_code for answer in answers] == [submit, read]
    for answer in answers:
        assert answer.status_code != 403 or answer.json()["code"] == "scope_missing"


def test_a_refused_upload_leaves_no_row(system: System, server: Server) -> None:
    with server.client(_key(system, "one", (Scope.READ,))) as client:
        client.put("/v1/uploads/a.txt", content=b"x")
        assert client.get("/v1/scans").json()["items"] == []


def test_what_is_undecided_has_no_content_yet(server: Server) -> None:
    with server.client() as client:
        scan = _upload(client)
        answer = client.get(f"/v1/scans/{scan['id']}/content")
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (409, "not_promoted", True)


def test_what_is_held_has_none_until_somebody_acts(system: System, server: Server) -> None:
    with server.client() as client:
        scan = _upload(client)
        system.amend(scan["id"], status="unscannable", finished_at=clock.now())
        answer = client.get(f"/v1/scans/{scan['id']}/content")
    assert (answer.status_code, answer.json()["retryable"]) == (409, False)


def test_waiting_runs_out(server: Server) -> None:
    with server.client() as client:
        scan = _upload(client)
        answer = client.get(f"/v1/scans/{scan['id']}", params={"wait": 0.3})
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")


def test_every_waiter_hears_of_its_own_end(system: System, server: Server) -> None:
    with server.client() as client:
        ids = [_upload(client)["id"] for _ in range(5)]
        answers: dict[str, str] = {}

        def wait(scan_id: str) -> None:
            answers[scan_id] = client.get(f"/v1/scans/{scan_id}", params={"wait": 30}).json()["status"]

        waiters = [threading.Thread(target=wait, args=[scan_id]) for scan_id in ids]
        for waiter in waiters:
            waiter.start()
        for scan_id in ids:
            system.work(scan_id)
        for waiter in waiters:
            waiter.join()
    assert answers == dict.fromkeys(ids, "clean")


def test_a_plan_is_not_shown_as_done(system: System, server: Server) -> None:
    with server.client() as client:
        scan = _upload(client)
        plan = {"bucket": "b", "key": "k", "size": 1, "sha256": "0" * 64, "type": "text/plain"}
        system.amend(scan["id"], status="settling", promoted=plan)
        assert client.get(f"/v1/scans/{scan['id']}").json()["promoted"] is None


def test_readiness_without_a_worker_is_degraded_and_still_200(server: Server) -> None:
    with server.client() as client:
        answer = client.get("/readyz")
        assert client.head("/readyz").status_code == client.head("/healthz").status_code == 200
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert "no worker has reported" in answer.json()["checks"]["scanners"]["detail"]


@pytest.mark.parametrize(
    ("change", "check", "code", "status"),
    [
        ({"redis_url": SecretStr("redis://127.0.0.1:1/0")}, "redis", 200, "degraded"),
        ({"clean_bucket": "nowhere"}, "clean", 200, "degraded"),
        ({"quarantine_bucket": "nowhere"}, "quarantine", 503, "unavailable"),
    ],
)
def test_readiness_is_503_only_where_intake_cannot_work(
    system: System, change: dict[str, Any], check: str, code: int, status: str
) -> None:
    with Server(system.settings.model_copy(update=change)) as server, server.client() as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"][check]["status"]) == (code, status)
    assert answer.json()["checks"]["database"]["status"] == "ok"


def test_a_store_that_is_away_is_503_with_retry_after(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with Server(system.settings) as server, server.client() as client:
        answer = client.put("/v1/uploads/a.txt", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (503, "object_store_unavailable")
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) > 0


def test_downloads_are_signed_for_the_address_that_clients_use(system: System) -> None:
    public = system.settings.model_copy(update={"s3_public_url": "https://files.example.com"})
    scan = system.outcome(b"hello")
    with Server(public) as server, server.client() as client:
        location = client.get(f"/v1/scans/{scan.id}/content").headers["location"]
    assert location.startswith(f"https://files.example.com/{system.settings.clean_bucket}/")


def test_a_fault_of_ours_is_a_problem_that_tells_nothing(system: System, server: Server) -> None:
    scan = system.upload(b"hello")
    system.amend(scan.id, verdict="secret")
    with server.client() as client:
        answer = client.get(f"/v1/scans/{scan.id}")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "?since=0001-01-01T00:00:00%2B14:00",
        "?until=9999-12-31T23:59:59-12:00",
        "?id=%00",
        "?service=%00",
        "?sha256=%00",
        "?cursor=%00",
    ],
)
def test_odd_queries_are_refused(server: Server, path: str) -> None:
    with server.client() as client:
        assert client.get(f"/v1/scans{path}").status_code == 422


def test_odd_ids_are_unknown(server: Server) -> None:
    with server.client() as client:
        assert client.get("/v1/scans/%00").status_code == 404


def test_outages_name_no_addresses(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with Server(system.settings) as server, server.client() as client:
        answer = client.put("/v1/uploads/a.txt", content=b"x")
        story = client.get(f"/v1/scans/{system.newest().id}/events")
    for text in (answer.text, story.text):
        assert "127.0.0.1" not in text
        assert system.settings.quarantine_bucket not in text


def test_a_scan_is_erased_by_its_service_alone_and_as_often_as_it_likes(system: System, server: Server) -> None:
    scan = system.outcome(b"hello")
    mine, theirs, reader = (
        _key(system, SERVICE),
        _key(system, "another"),
        _key(system, SERVICE, scopes=(Scope.READ,)),
    )
    with server.client(theirs) as client:
        assert client.delete(f"/v1/scans/{scan.id}").status_code == 404
    with server.client(reader) as client:
        assert client.delete(f"/v1/scans/{scan.id}").status_code == 403
    assert len(system.promoted()) == 1
    with server.client(mine) as client:
        for _ in range(2):
            assert client.delete(f"/v1/scans/{scan.id}").status_code == 204
        shown = client.get(f"/v1/scans/{scan.id}").json()
        assert (shown["status"], shown["decision"]) == ("erased", 2)
        assert client.get(f"/v1/scans/{scan.id}/content").status_code == 410
        last = client.get(f"/v1/scans/{scan.id}/events").json()["items"][-1]
    assert (last["from"], last["to"], last["decision"]) == ("clean", "erased", 2)
    assert "another" not in last["actor"]
    assert system.promoted() == system.quarantined() == []


def test_the_documentation_asks_no_other_host(server: Server) -> None:
    with server.client() as client:
        page = client.get("/docs").text
        assert set(re.findall(r"https?://[^/\"']+", page)) == set()
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', page):
            assert client.get(path).status_code == 200, path
        assert client.get("/redoc").json()["code"] == "not_found"
