"""Numbers and lists as services and operators get them: of files that went the whole way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import app
from tests.server import Server
from tests.system import KEY, System
from worker import settings as settings_module
from worker.canaries import eicar
from worker.scan import Scan, Status
from worker.services import Scope


@pytest.fixture
def ended(system: System) -> dict[str, Scan]:
    """What became of three files of one service and one of another; counted."""
    uploads = {
        "clean": system.upload(b"hello", "notes.txt", service="one"),
        "other": system.upload(b"hello", "notes.txt", service="two"),
        "infected": system.upload(eicar(), "invoice.txt", service="one"),
        "unlike": system.upload(b"hello", "photo.jpg", "image/jpeg", service="one"),
    }
    found = {name: system.work(scan.id) for name, scan in uploads.items()}
    assert system.sweep().rolled_up == 0
    return found


@pytest.fixture
def server(system: System, ended: dict[str, Scan]) -> Iterator[Server]:
    with Server(system.settings) as running:
        yield running


def test_a_service_sees_its_own_numbers_and_an_operator_all(system: System, server: Server) -> None:
    with server.client(system.key_of("one")) as one, server.client() as operator:
        mine, everything = one.get("/v1/stats").json(), operator.get("/v1/stats?window=31d").json()
        theirs = operator.get("/v1/stats", params={"service": "two", "window": "1h"}).json()
        foreign = one.get("/v1/stats", params={"service": "two"})
        own = one.get("/v1/stats", params={"service": "one"}).json()
    assert (foreign.status_code, foreign.json()["code"]) == (403, "scope_missing")
    assert own["by_status"] == mine["by_status"] == {"clean": 1, "infected": 1, "rejected": 1}
    assert mine["by_service"] == {"one": 3}
    assert mine["by_reason"] == {"signature_found": 1, "type_mismatch": 1}
    assert (mine["service"], mine["total"], everything["service"], everything["total"]) == ("one", 3, None, 4)
    assert everything["by_service"] == {"one": 3, "two": 1}
    assert everything["by_type"] == {"text/plain": 4}
    assert theirs["by_status"] == {"clean": 1}
    assert theirs["bytes"] == 5
    assert [each["queue"] for each in everything["queues"]] == ["scans", "large", "bulk", "rescans"]
    assert everything["latency"]["p50"] > 0
    assert sum(sum(slot["by_status"].values()) for slot in everything["slots"]) == 4
    assert everything["signature_age"] is None  # of development signatures nobody knows


def test_who_asks_for_no_window_is_told_what_would_be_one(system: System) -> None:
    """And who may not read is told nothing."""
    submitter = system.key_of("one", (Scope.SUBMIT,))
    with Server(system.settings) as server, server.client() as client, server.client(submitter) as other:
        for window in ("0h", "745h", "32d", "24", "h", "-1h", "1.5h", "24m", "٣h", "1h ", ""):
            problem = client.get("/v1/stats", params={"window": window}).json()
            assert (problem["status"], problem["code"]) == (422, "invalid_request"), window
            assert "from 1h to 31d" in problem["expected"]
        assert client.get("/v1/stats").json()["total"] == 0
        assert other.get("/v1/stats").status_code == 403
        names: list[dict[str, str]] = [{"name": "a\0b"}, {"name": ""}, {"name": "a" * 256}]
        for query in ({"reason": "a b"}, {"type": "image"}, {"signature": "\0"}, *names):
            problem = client.get("/v1/scans", params=query).json()
            assert (problem["status"], problem["code"]) == (422, "invalid_request"), query
            assert f"query {next(iter(query))}" in problem["detail"]


def test_what_has_ended_just_now_is_counted_by_the_next_sweeps(system: System, server: Server) -> None:
    waiting = system.upload(b"more", service="two")
    with server.client() as client:
        assert client.get("/v1/stats").json()["pending"]["queued"] == 1
        system.work(waiting.id)
        system.sweep()
        now = client.get("/v1/stats?window=1h").json()
    assert (now["pending"]["queued"], now["by_service"]) == (0, {"one": 3, "two": 2})


def test_scans_are_found_by_what_was_found(system: System, ended: dict[str, Scan], server: Server) -> None:
    [signature] = ended["infected"].signatures
    mine = {"name": "notes", "service": "one", "status": ["clean", "infected"], "type": "text/plain"}
    wanted: list[tuple[dict[str, Any], list[str]]] = [
        ({"reason": "type_mismatch"}, ["unlike"]),
        ({"signature": signature}, ["infected"]),
        ({"signature": signature, "status": "clean"}, []),
        ({"type": "text/plain", "service": "two"}, ["other"]),
        ({"name": "notes"}, ["other", "clean"]),
        ({"name": "Notes"}, []),
        ({"name": "%"}, []),
        (mine, ["clean"]),
    ]
    with server.client() as operator, server.client(system.key_of("two")) as two:
        for query, expected in wanted:
            page = operator.get("/v1/scans", params=query).json()
            assert [item["id"] for item in page["items"]] == [ended[name].id for name in expected], query
            assert page["next_cursor"] is None
            shown = two.get("/v1/scans", params=query).json()["items"]
            assert {item["service"] for item in shown} <= {"two"}
            assert bool(shown) == ("other" in expected)


@pytest.fixture
def commands(system: System, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """The command line, of this stack."""
    known = {
        "LAZARETTO_URL": f"http://127.0.0.1:{server.port}",
        "LAZARETTO_API_KEY": KEY,
        "LAZARETTO_DATABASE_URL": system.settings.database_url.get_secret_value(),
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    settings_module.load.cache_clear()
    yield CliRunner()
    settings_module.load.cache_clear()


def _run(commands: CliRunner, *arguments: str) -> str:
    done = commands.invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def test_operators_get_both_on_their_command_line(system: System, ended: dict[str, Scan], commands: CliRunner) -> None:
    listed = json.loads(_run(commands, "scans", "list", "--reason", "type_mismatch", "--type", "text/plain", "--json"))
    assert [item["id"] for item in listed["items"]] == [ended["unlike"].id]
    assert len(json.loads(_run(commands, "scans", "list", "--name", "notes", "--limit", "1", "--json"))["items"]) == 1
    told = json.loads(_run(commands, "stats", "--window", "1h", "--service", "one", "--json"))
    assert told["by_status"] == {"clean": 1, "infected": 1, "rejected": 1}
    shown = _run(commands, "stats")
    for line in ("by reason", "signature_found", "waiting", "rescans"):
        assert line in shown
    hours = json.loads(_run(commands, "stats", "repair", "--since", "2h", "--json"))["hours"]
    assert hours >= 1
    assert json.loads(_run(commands, "stats", "repair", "--json"))["hours"] >= hours  # of the last 30 days
    assert json.loads(_run(commands, "stats", "--json"))["total"] == 4
    assert {scan.status for scan in system.all()} == {Status.CLEAN, Status.INFECTED, Status.REJECTED}
