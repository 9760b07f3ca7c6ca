"""Another look at promoted files, asked for over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from ops.embedded.clamd_server import Clamd
from tests.later import MALWARE, known_malware
from tests.server import Server
from tests.system import System

TEXT = b"Nothing to see here. " + MALWARE
_NOBODY = "01a21256-dc13-72c5-aa66-fd497457bfa0"


def test_a_file_is_looked_at_and_recalled(system: System, operator: httpx.Client, clamd: Clamd) -> None:
    scan = system.outcome(TEXT)
    asked = operator.post(f"/v1/scans/{scan.id}/rescan", headers={"Idempotency-Key": "k"})
    assert (asked.status_code, asked.json()["status"]) == (202, "clean")
    again = operator.post(f"/v1/scans/{scan.id}/rescan", headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
    assert system.rescans() == [scan.id]
    assert operator.get(f"/v1/scans/{scan.id}/content").status_code == 307, "it blocks no download"
    with known_malware(clamd):
        assert system.parts.rescanner.run(scan.id)
        undecided = operator.get(f"/v1/scans/{scan.id}/content")
        assert (undecided.status_code, undecided.json()["retryable"]) == (409, True)
        shown = operator.get(f"/v1/scans/{scan.id}").json()
        assert (shown["status"], shown["promoted"], shown["decision"]) == ("settling", None, 2)
        system.parts.scan(scan.id)
    assert operator.get(f"/v1/scans/{scan.id}/content").status_code == 410
    ended = operator.get(f"/v1/scans/{scan.id}").json()
    assert (ended["status"], [each["code"] for each in ended["reasons"]]) == ("infected", ["signature_found"])
    events = operator.get(f"/v1/scans/{scan.id}/events").json()["items"]
    assert events[-2]["request_id"] == asked.headers["X-Request-ID"]
    refused = operator.post(f"/v1/scans/{scan.id}/rescan")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_status")
    assert operator.post(f"/v1/scans/{_NOBODY}/rescan").status_code == 404


def test_only_operators_may_ask(system: System, server: Server) -> None:
    scan = system.outcome(TEXT)
    with server.client(system.key_of("default")) as client:
        for path in (f"/v1/scans/{scan.id}/rescan", "/v1/scans/rescan"):
            refused = client.post(path, json={})
            assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert system.rescans() == []


def test_all_that_old_signatures_saw_are_counted_and_asked_for_by_stretches(
    system: System, operator: httpx.Client
) -> None:
    found = [system.outcome(TEXT + str(number).encode()).id for number in range(3)]
    new = {"engine": "ClamAV 1.4.6", "database": "1", "database_time": datetime.now(UTC).isoformat()}
    system.amend(found[1], scanner=new | {"development": False})
    wanted = {"signatures_older_than": (datetime.now(UTC) - timedelta(days=7)).isoformat(), "limit": 2}
    counted = operator.post("/v1/scans/rescan", json=wanted | {"dry_run": True})
    assert counted.json() == {"count": 1, "next_cursor": found[1], "dry_run": True}
    assert system.rescans() == []
    asked = operator.post("/v1/scans/rescan", json=wanted)
    assert (asked.status_code, asked.json()) == (202, {"count": 1, "next_cursor": found[1], "dry_run": False})
    rest = operator.post("/v1/scans/rescan", json=wanted | {"cursor": found[1]})
    assert rest.json() == {"count": 1, "next_cursor": None, "dry_run": False}
    assert sorted(system.rescans()) == [found[0], found[2]]


@pytest.mark.parametrize(
    "wanted",
    [
        {"signatures_older_than": "7d"},
        {"signatures_older_than": "2026-01-15T09:30:00"},
        {"limit": 0},
        {"limit": 5001},
        {"cursor": "0"},
        {"service": "a' OR '1'='1"},
        {"dry_run": "yes"},
        {"status": "failed"},
    ],
)
def test_what_makes_no_sense_is_told(operator: httpx.Client, wanted: dict[str, object]) -> None:
    refused = operator.post("/v1/scans/rescan", json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert next(iter(wanted)) in refused.json()["expected"]
