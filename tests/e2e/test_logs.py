"""What the processes of a running stack write: JSON, one event from one list, whose it is, and no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.outcomes import policy
from tests.receiver import Receiver
from tests.stack import Stack, until
from worker.canaries import eicar
from worker.telemetry import Log

OURS = {"api": "api", "worker": "worker", "slow-worker": "worker", "notifier": "notifier", "sweeper": "sweeper"}
HOSTILE = '"}\n{"event": "forged", "level": "info"}\x1b[2J\u202e.txt'
CONTENT = b"what-is-in-the-file-is-nobodys-business"
# Where one scan is meant: who asked for it, and which it is. A task whose scan is not to be had knows the scan alone.
OF_A_SCAN = {
    Log.UPLOAD_ACCEPTED,
    Log.UPLOAD_REFUSED,
    Log.UPLOAD_BROKEN_OFF,
    Log.ENQUEUE_FAILED,
    Log.SCAN_ENDED,
    Log.SCAN_POSTPONED,
    Log.SETTLING_POSTPONED,
    Log.SCAN_FAILED,
    Log.RESCAN_ENDED,
    Log.RESCAN_POSTPONED,
    Log.RESCAN_FAILED,
    Log.RECALLED,
    Log.LEASE_LOST,
    Log.LEASE_NOT_RENEWED,
    Log.TIDY_FAILED,
    Log.WEBHOOK_DELIVERED,
    Log.WEBHOOK_FAILED,
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Stack]:
    """One that has taken in, refused, found, failed to deliver, and been asked for nonsense."""
    folder = tmp_path_factory.mktemp("logged")
    with Receiver.running() as receiver:
        rules = {"LAZARETTO_POLICY_FILE": str(policy(folder, {"default": receiver.url}))}
        rules["LAZARETTO_WEBHOOK_ALLOWED_NETWORKS"] = "127.0.0.1/32"
        with Stack.started(folder / "stack", development_signatures, **rules) as running:
            until(lambda: len(_begun(running)) == len(OURS), 60, "the start of the sweeper, which comes last")
            _use(running)
            until(lambda: len(receiver.received) >= 3, 30, "webhooks")
            _go_wrong(running)
            yield running


def _use(stack: Stack) -> None:
    with stack.client() as client:
        for name, data in (("a.txt", CONTENT), (HOSTILE, CONTENT), ("eicar.com", eicar())):
            sent = client.post("/v1/uploads", files={"file": (name, data)}, data={"metadata": '{"a": "\\u2028"}'})
            client.get(f"/v1/scans/{sent.json()['id']}", params={"wait": 60})
        client.get("/v1/nowhere", headers={"X-Request-ID": "x\x01y"})
        client.get("/v1/scans", headers={"Authorization": f"Bearer {stack.api_key}x"})


def _go_wrong(stack: Stack) -> None:
    """The policy file becomes one that is refused, which every process says as it sees it."""
    path = Path(stack.env["LAZARETTO_POLICY_FILE"])
    good = path.read_text()
    path.write_text(good + '\n[services.default]\nnonsense = "\x1b"\n')
    until(lambda: any(line["event"] == Log.POLICY_REFUSED for line in _lines(stack)), 30, "the policy to be refused")
    path.write_text(good)


def _raw(stack: Stack) -> list[str]:
    logs = [path for name in OURS for path in (stack.home / "logs").glob(f"{name}*.log")]
    assert len(logs) == len(OURS)
    return [line for path in logs for line in path.read_text().splitlines()]


def _lines(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _raw(stack)]


def test_every_line_is_json_with_an_event_of_ours_or_the_name_of_a_library(stack: Stack) -> None:
    events = {event.value for event in Log}
    lines = _lines(stack)
    for line in lines:
        assert {"event", "level", "timestamp"} <= line.keys(), line
        assert line["event"] in events or line["logger"], line
        assert line["level"] in {"info", "warning", "error", "critical"}, line
    said = {line["event"] for line in lines if "logger" not in line}
    expected = {Log.STARTED, Log.UPLOAD_ACCEPTED, Log.SCAN_ENDED, Log.SCANNER_TRUSTED, Log.WEBHOOK_DELIVERED}
    assert {event.value for event in expected} <= said


def test_every_process_says_when_it_began(stack: Stack) -> None:
    assert sorted(_begun(stack)) == sorted(OURS.values())


def _begun(stack: Stack) -> list[str]:
    return [line["process"] for line in _lines(stack) if line["event"] == Log.STARTED]


def test_a_first_start_alarms_nobody(stack: Stack) -> None:
    """Each part begins when what it looks into is there."""
    assert Log.SWEEP_FAILED not in {line["event"] for line in _lines(stack)}


def test_whatever_is_about_a_scan_says_which_and_who_asked(stack: Stack) -> None:
    concerned = [line for line in _lines(stack) if line["event"] in {event.value for event in OF_A_SCAN}]
    assert {line["event"] for line in concerned} >= {Log.UPLOAD_ACCEPTED, Log.SCAN_ENDED, Log.WEBHOOK_DELIVERED}
    for line in concerned:
        assert re.fullmatch("[0-9a-f-]{36}", line["scan_id"]), line
        assert line["request_id"], line


def test_no_line_holds_a_secret_or_what_is_in_a_file(stack: Stack) -> None:
    text = "\n".join(_raw(stack))
    hidden = list(_secrets(stack))
    assert len(hidden) >= 4
    for each in [*hidden, CONTENT.decode(), eicar().decode()[:30]]:
        assert each not in text


def _secrets(stack: Stack) -> Iterator[str]:
    for name, value in stack.env.items():
        if re.search("SECRET|API_KEY|ACCESS_KEY|TOKEN", name):
            yield value
        if password := urlsplit(value).password:
            yield password
    with stack.client() as client:
        assert client.get("/v1/scans").status_code == 200, "the key that must not be seen is in use"


def test_nobody_forges_a_line(stack: Stack) -> None:
    assert "forged" not in {line["event"] for line in _lines(stack)}
    for line in _raw(stack):
        assert line.isprintable() or line.encode().isascii(), line
        assert "\x1b" not in line
