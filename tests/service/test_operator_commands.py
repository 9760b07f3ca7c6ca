"""`lazaretto scans retry|release|erase`, against an API on a real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lazaretto_client import Lazaretto
from ops.cli import app, retry
from tests.server import Server
from tests.service.test_operations import PDF, SECRET, failed
from tests.stack import until
from tests.system import KEY, System
from worker.lanes import Lane
from worker.scan import Scan, Status

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def system(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """With an API that the commands find."""
    with Server(system.settings) as server:
        monkeypatch.setenv("LAZARETTO_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("LAZARETTO_API_KEY", KEY)
        yield system


def _run(*arguments: str, said: str = "") -> Result:
    return CliRunner().invoke(app, ["scans", *arguments], input=said)


def _lost(system: System, service: str = "default") -> Scan:
    return failed(system, system.upload(PDF, "report.pdf", service=service))


def _statuses(system: System) -> list[str]:
    return sorted(scan.status.value for scan in system.all())


def test_what_is_named_is_put_back_before_anything_else(system: System) -> None:
    lost, clean = _lost(system), system.outcome(PDF, "report.pdf")
    done = _run("retry", lost.id)
    assert (done.exit_code, done.stdout) == (0, "1 back in line\n")
    assert (system.scan(lost.id).status, system.scan(lost.id).lane) == (Status.QUEUED, Lane.SCANS)
    mixed = _run("retry", clean.id, UNKNOWN, "--json")
    assert mixed.exit_code == 2
    said = json.loads(mixed.stdout)
    assert (said["matched"], said["done"]) == (2, 0)
    assert said["faults"][clean.id] == "The scan is clean. (expected: a scan that is failed or unscannable)"
    assert "There is no scan" in said["faults"][UNKNOWN]


def test_many_are_counted_and_confirmed_first(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_TOGETHER", 2)
    for service in ("avatars", "avatars", "avatars", "papers"):
        _lost(system, service)
    counted = _run("retry", "--service", "avatars", "--dry-run")
    assert (counted.exit_code, counted.stdout) == (0, "3 would be back in line\n")
    refused = _run("retry", "--service", "avatars", said="4\n")
    assert (refused.exit_code, _statuses(system)) == (1, ["failed"] * 4)
    assert "Type 3 to have 3 scans examined once more" in refused.stderr
    assert "nothing is done" in refused.stderr
    done = _run("retry", "--service", "avatars", said="3\n")
    assert (done.exit_code, _statuses(system)) == (0, ["failed", "queued", "queued", "queued"])
    again = _run("retry", "--service", "avatars", "--json")
    assert (again.exit_code, json.loads(again.stdout)["matched"]) == (1, 0)
    last = _run("retry", "--status", "failed", "--since", "2h", "--yes", "--json")
    assert (last.exit_code, json.loads(last.stdout)) == (0, {"matched": 1, "dry_run": False, "done": 1, "faults": {}})


@pytest.mark.parametrize("command", ["retry", "erase"])
def test_nobody_means_everything(system: System, command: str) -> None:
    lost = _lost(system)
    for arguments in ([], [lost.id, "--status", "failed"], ["--yes"]):
        refused = _run(command, *arguments)
        assert refused.exit_code == 2
        assert "which scans?" in refused.stderr
    assert _statuses(system) == ["failed"]


def test_a_release_has_a_reason_and_is_confirmed(system: System) -> None:
    held = [system.outcome(SECRET, "secret.zip") for _ in range(2)]
    lost = _lost(system)
    assert _run("release", held[0].id).exit_code == 2
    assert _run("release", held[0].id, "--reason", "opened it").exit_code == 0
    assert system.story(held[0].id)[-1].reason == "released: opened it"
    assert _run("release", "--service", "default", "--reason", "opened it", said="no\n").exit_code == 1
    assert _run("release", "--code", "scan_timed_out", "--reason", "opened it", "--yes").exit_code == 1
    done = _run("release", "--since", "1h", "--reason", "opened it", said="1\n")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "1 released")
    assert {system.work(scan.id).status for scan in held} == {Status.RELEASED}
    wrong = _run("release", lost.id, "--reason", "opened\nit")
    assert (wrong.exit_code, wrong.stderr.startswith(f"{lost.id}: Not as it should be: body reason")) == (2, True)


def test_bytes_are_erased_by_id_or_by_what_is_said_of_them(system: System) -> None:
    named, lost, clean = system.outcome(PDF, "a.pdf"), _lost(system), system.outcome(PDF, "b.pdf")
    assert _run("erase", named.id, named.id).stdout == "1 erased\n"
    assert _run("erase", "--sha256", clean.sha256 or "", "--dry-run").stdout == "2 would be erased\n"
    assert "erased for good" in _run("erase", "--status", "failed", said="\n").stderr
    assert _run("erase", "--code", "encrypted", "--yes").exit_code == 1
    assert _run("erase", "--reason", "worker_lost", "--dry-run").stdout == "1 would be erased\n"
    assert _run("erase", "--status", "failed", "--yes").exit_code == 0
    assert (system.scan(lost.id).status, system.scan(clean.id).status) == (Status.ERASED, Status.CLEAN)
    assert _run("erase", "--status", "failed", "--yes").exit_code == 1


def test_an_interruption_says_what_is_done_and_can_be_repeated(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between two requests; and the end of the process itself, at any moment."""
    lost = [_lost(system) for _ in range(6)]
    monkeypatch.setattr(retry, "_TOGETHER", 2)
    original = Lazaretto.retry_all
    calls = []

    def interrupted(*arguments: object, **options: object) -> object:
        calls.append(options)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Lazaretto, "retry_all", interrupted)
        stopped = _run("retry", "--status", "failed", "--yes")
    assert stopped.exit_code == 130
    assert "interrupted: 4 of 6 back in line; the same command goes on where this one ended" in stopped.stderr
    assert _statuses(system) == ["failed"] * 2 + ["queued"] * 4
    command = [str(Path(sys.executable).with_name("lazaretto")), "scans", "retry", "--status", "failed", "--yes"]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
    until(lambda: "failed" not in _statuses(system), 30, "the server does what it was asked")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert _run("retry", "--status", "failed", "--yes").exit_code == 1
    reasons = [[event.reason for event in system.story(scan.id)] for scan in lost]
    assert [each.count("tried again, with others") for each in reasons] == [1] * 6
