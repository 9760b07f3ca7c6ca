"""Retry and release over HTTP: who may, what is answered, and what may be sent twice."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.server import Server
from tests.service.test_operations import PDF, SECRET, failed
from tests.system import System
from worker.lanes import Lane
from worker.scan import Scan
from worker.services import Scope

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # test_operations.py has both

UNKNOWN = "01900000-0000-7000-8000-000000000000"
WHY = {"reason": "  the sender told us the password  "}


def _failed(system: System, service: str = "default") -> Scan:
    return failed(system, system.upload(PDF, "report.pdf", service=service))


def _held(system: System, service: str = "default") -> Scan:
    return system.work(system.upload(SECRET, "secret.zip", service=service).id)


def _events(client: httpx.Client, scan: Scan) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = client.get(f"/v1/scans/{scan.id}/events").json()["items"]
    return events


def test_a_failed_scan_is_tried_again(system: System, operator: httpx.Client) -> None:
    scan = _failed(system, "avatars")
    answer = operator.post(f"/v1/scans/{scan.id}/retry", headers={"X-Request-ID": "night-7"})
    assert (answer.status_code, answer.json()["status"], answer.json()["decision"]) == (202, "queued", 2)
    assert (answer.json()["error"], answer.json()["attempts"]) == (None, 0)
    last = _events(operator, scan)[-1]
    assert (last["to"], last["reason"], last["request_id"]) == ("queued", "tried again", "night-7")
    assert last["actor"].startswith("service:default key:")
    system.work(scan.id)
    assert operator.get(f"/v1/scans/{scan.id}").json()["status"] == "clean"


def test_a_held_scan_is_released_and_to_be_had(system: System, operator: httpx.Client, server: Server) -> None:
    scan = _held(system, "avatars")
    answer = operator.post(f"/v1/scans/{scan.id}/release", json=WHY)
    assert (answer.status_code, answer.json()["status"], answer.json()["promoted"]) == (202, "settling", None)
    undecided = operator.get(f"/v1/scans/{scan.id}/content")
    assert (undecided.status_code, undecided.json()["retryable"]) == (409, True)
    system.work(scan.id)
    with server.client(system.key_of("avatars")) as service:
        shown = service.get(f"/v1/scans/{scan.id}").json()
        assert (shown["status"], shown["promoted"]["size"]) == ("released", len(SECRET))
        assert {reason["code"] for reason in shown["reasons"]} == {"encrypted"}
        content = service.get(f"/v1/scans/{scan.id}/content", follow_redirects=True)
    assert content.content == SECRET
    assert content.headers["Content-Disposition"].startswith("attachment")
    assert _events(operator, scan)[-2]["reason"] == "released: the sender told us the password"


def test_only_operators_may(system: System, server: Server) -> None:
    scan = _held(system)
    with server.client(system.key_of("default", (Scope.SUBMIT, Scope.READ))) as owner:
        for path, body in ((f"{scan.id}/retry", None), (f"{scan.id}/release", WHY), ("retry", {})):
            refused = owner.post(f"/v1/scans/{path}", json=body)
            assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
            assert refused.json()["expected"] == "a key with operate"
    assert system.scan(scan.id) == scan


def test_an_operator_needs_no_other_scope(system: System, server: Server) -> None:
    with server.client(system.key_of("operators", (Scope.OPERATE,))) as client:
        assert client.post(f"/v1/scans/{_failed(system, 'avatars').id}/retry").status_code == 202
        assert client.post("/v1/scans/retry", json={"dry_run": True}).status_code == 202


def test_there_is_no_such_scan(operator: httpx.Client) -> None:
    for scan_id in (UNKNOWN, "x"):
        for path, body in (("retry", None), ("release", WHY)):
            missing = operator.post(f"/v1/scans/{scan_id}/{path}", json=body)
            assert (missing.status_code, missing.json()["code"]) == (404, "scan_not_found")


def test_a_wrong_state_is_a_conflict_that_says_what_was_expected(system: System, operator: httpx.Client) -> None:
    clean, lost = system.outcome(PDF, "report.pdf"), _failed(system)
    for scan, path, expected in (
        (clean, "retry", "a scan that is failed or unscannable"),
        (lost, "release", "a scan that is unscannable"),
    ):
        refused = operator.post(f"/v1/scans/{scan.id}/{path}", json=WHY if path == "release" else None).json()
        assert (refused["status"], refused["code"], refused["retryable"]) == (409, "wrong_status", False)
        assert (refused["detail"], refused["expected"]) == (f"The scan is {scan.status}.", expected)


def test_bytes_that_are_gone_are_a_conflict(system: System, operator: httpx.Client) -> None:
    scan = _held(system)
    system.amend(scan.id, quarantine_key=None)
    refused = operator.post(f"/v1/scans/{scan.id}/release", json=WHY).json()
    assert (refused["status"], refused["code"], refused["retryable"]) == (409, "nothing_held", False)
    assert refused["expected"]


def test_a_reason_is_words_on_one_line(operator: httpx.Client) -> None:
    no_words = ["", "   ", "x" * 1001, "two\nlines", "a\x00b", "a\x1b[2Jb", "a\u202eb", "\ud800", "a\u2028b", 7, ["a"]]
    for body in ({}, *({"reason": each} for each in no_words)):
        kind = {"Content-Type": "application/json"}
        refused = operator.post(f"/v1/scans/{UNKNOWN}/release", content=json.dumps(body), headers=kind)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request"), body
        assert "body reason" in refused.json()["detail"]


@pytest.mark.parametrize("path", ["retry", "release"])
def test_the_same_key_is_the_same_order(system: System, operator: httpx.Client, path: str) -> None:
    scan, key = _held(system), {"Idempotency-Key": "order-7"}
    body = WHY if path == "release" else None
    first = operator.post(f"/v1/scans/{scan.id}/{path}", json=body, headers=key)
    ended = system.work(scan.id)
    again = operator.post(f"/v1/scans/{scan.id}/{path}", json=body, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.headers["Idempotency-Replayed"], again.json()["status"]) == ("true", ended.status)
    assert system.scan(scan.id).decision == 2
    other = operator.post(f"/v1/scans/{_held(system).id}/{path}", json=body, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


def test_a_refused_order_frees_its_key(system: System, operator: httpx.Client) -> None:
    scan, key = system.upload(PDF, "report.pdf"), {"Idempotency-Key": "order-8"}
    assert operator.post(f"/v1/scans/{scan.id}/retry", headers=key).status_code == 409
    failed(system, scan)
    assert operator.post(f"/v1/scans/{scan.id}/retry", headers=key).status_code == 202


def test_many_are_counted_and_then_put_back(system: System, operator: httpx.Client) -> None:
    mine = [_failed(system, "avatars") for _ in range(3)]
    theirs, held = _failed(system, "papers"), _held(system, "avatars")
    wanted = {"service": "avatars", "limit": 2}
    counted = operator.post("/v1/scans/retry", json=wanted | {"dry_run": True}).json()
    assert (counted["count"], counted["remaining"], counted["dry_run"]) == (2, 1, True)
    assert {system.scan(scan.id).status.value for scan in mine} == {"failed"}
    first = operator.post("/v1/scans/retry", json=wanted | {"ended_before": counted["ended_before"]})
    assert first.status_code == 202
    second = operator.post("/v1/scans/retry", json=wanted | {"ended_before": first.json()["ended_before"]}).json()
    assert [first.json()["count"], first.json()["remaining"]] == [2, 1]
    assert [second["count"], second["remaining"]] == [1, 0]
    assert {system.scan(scan.id).status.value for scan in mine} == {"queued"}
    assert all(system.scan(scan.id).lane is Lane.BULK for scan in mine)
    assert [system.scan(scan.id).status.value for scan in (theirs, held)] == ["failed", "unscannable"]


def test_what_has_failed_again_is_not_put_back_twice(system: System, operator: httpx.Client) -> None:
    scan = _failed(system)
    before = operator.post("/v1/scans/retry", json={}).json()
    failed(system, scan)
    assert operator.post("/v1/scans/retry", json={"ended_before": before["ended_before"]}).json()["count"] == 0
    assert operator.post("/v1/scans/retry", json={}).json()["count"] == 1


def test_who_is_meant(system: System, operator: httpx.Client) -> None:
    lost, _held_too = _failed(system), _held(system)
    meant: list[tuple[dict[str, Any], int]] = [
        ({}, 1),
        ({"status": "failed"}, 1),
        ({"status": ["unscannable"]}, 1),
        ({"status": ["failed", "unscannable"]}, 2),
        ({"sha256": lost.sha256}, 1),
        ({"sha256": "0" * 64}, 0),
        ({"since": "2999-01-01T00:00:00Z"}, 0),
        ({"until": "2000-01-01T00:00:00Z"}, 0),
        ({"until": "2999-01-01T00:00:00Z"}, 1),
        ({"service": "nobody"}, 0),
        ({"reason": "worker_lost"}, 1),
        ({"reason": "encrypted"}, 0),
        ({"reason": "encrypted", "status": "unscannable"}, 1),
        ({"reason": "worker_lost", "service": "nobody"}, 0),
    ]
    for wanted, count in meant:
        assert operator.post("/v1/scans/retry", json=wanted | {"dry_run": True}).json()["count"] == count, wanted
    for wanted in ({"service": "nobody"}, {"status": "unscannable"}, {"reason": "encrypted"}):
        operator.post("/v1/scans/retry", json=wanted)
    assert system.scan(lost.id).status.value == "failed"
    assert operator.post("/v1/scans/retry", json={}).json()["count"] == 1


def test_ids_are_meant_in_any_state_that_can_be_tried_again(system: System, operator: httpx.Client) -> None:
    lost, held, other = _failed(system), _held(system), _failed(system)
    assert operator.post("/v1/scans/retry", json={"ids": [lost.id, held.id, UNKNOWN]}).json()["count"] == 2
    assert system.scan(other.id).status.value == "failed"


def test_what_cannot_be_meant_is_refused(system: System, operator: httpx.Client) -> None:
    lost = _failed(system)
    meant: list[Any] = [
        {"status": "clean"},
        {"status": ["failed", "queued"]},
        {"state": "failed"},
        {"limit": 0},
        {"limit": 10_001},
        {"dry_run": "yes"},
        {"ids": ["x"]},
        {"since": "yesterday"},
        {"service": "a b"},
        [],
    ]
    for wanted in meant:
        refused = operator.post("/v1/scans/retry", json=wanted)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request"), wanted
    assert system.scan(lost.id).status.value == "failed"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "/v1/scans/retry", {"status": "clean"}, "body status.0: Input should be 'failed' or 'unscannable'"),
        ("POST", "/v1/scans/retry", {"state": "failed"}, "body state: nothing of this name; "),
        ("GET", "/v1/stats?window=5m", None, "query window: expected hours or days from 1h to 31d, as in 24h"),
    ],
)
def test_what_was_expected_is_said_without_the_names_of_our_types(
    operator: httpx.Client, method: str, path: str, body: dict[str, str] | None, expected: str
) -> None:
    refused = operator.request(method, path, json=body).json()
    assert refused["expected"].startswith(expected)


def test_an_operator_is_not_told_to_look_among_their_own(operator: httpx.Client) -> None:
    assert operator.get(f"/v1/scans/{UNKNOWN}").json()["expected"] == "the id of a scan"


def test_erased_by_an_operator_or_by_its_own_service(system: System, operator: httpx.Client) -> None:
    foreign = _held(system, "avatars")
    assert operator.delete(f"/v1/scans/{foreign.id}").status_code == 204
    assert _events(operator, foreign)[-1]["to"] == "erased"
