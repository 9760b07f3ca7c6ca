"""A real upload is told of by the stack that `make run` starts, and by nobody who could touch a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outcomes import policy
from tests.receiver import Receiver
from tests.stack import Stack, until

LAZARETTO = Path(sys.executable).with_name("lazaretto")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.running() as running:
        yield running


@pytest.fixture
def told(tmp_path: Path, development_signatures: Path, receiver: Receiver) -> Iterator[Stack]:
    """A stack whose one service names a webhook."""
    rules = {"LAZARETTO_POLICY_FILE": str(policy(tmp_path, {"default": receiver.url}))}
    with Stack.started(
        tmp_path / "stack", development_signatures, **rules, LAZARETTO_WEBHOOK_ALLOWED_NETWORKS="127.0.0.1/32"
    ) as stack:
        yield stack


def _webhooks(stack: Stack, *arguments: str) -> str:
    command = [str(LAZARETTO), "webhooks", *arguments]
    done = subprocess.run(
        command, env=stack.env | {"PATH": "/usr/bin"}, cwd=stack.home, capture_output=True, check=True
    )
    return done.stdout.decode()


def test_an_upload_and_its_end_are_told(told: Stack, receiver: Receiver) -> None:
    secret = _webhooks(told, "secret", "default").strip()
    with told.client() as client:
        sent = client.put("/v1/uploads/a.txt", content=b"hello", headers={"X-Request-ID": "traced-1"}).json()
        until(lambda: len(receiver.received) == 1, 20, "the webhook")
        known = client.get(f"/v1/scans/{sent['id']}").json()
        assert known.pop("steps")["scan"] > 0, "which is for those who look into one scan"
        event = receiver.received[0].verified(secret)
        assert (event["type"], event["data"]) == ("scan.clean", known)
        assert receiver.received[0].headers["x-request-id"] == "traced-1"
        assert client.delete(f"/v1/scans/{sent['id']}").status_code == 204
        until(lambda: len(receiver.received) == 2, 20, "the second decision's webhook")
    erased = receiver.received[1].verified(secret)
    assert (erased["type"], erased["data"]["decision"]) == ("scan.erased", 2)
    assert len(receiver.ids()) == 2
    assert json.loads(_webhooks(told, "test", "default", "--json"))["status"] == "delivered"
    listed = json.loads(_webhooks(told, "list", "--scan", sent["id"], "--json"))["items"]
    assert [(each["type"], each["status"]) for each in listed] == [
        ("scan.erased", "delivered"),
        ("scan.clean", "delivered"),
    ]
    _check_what_the_notifier_knows(told)


def _check_what_the_notifier_knows(stack: Stack) -> None:
    """Nothing that leads to a file or a key."""
    environment = Path(f"/proc/{stack.named('worker.notifier')}/environ").read_text()
    names = {each.partition("=")[0] for each in environment.split("\0") if each}
    assert "LAZARETTO_DATABASE_URL" in names
    for each in names:
        assert not each.startswith("AWS_")
        assert each not in {"LAZARETTO_BOOTSTRAP_API_KEY", "LAZARETTO_CLAMD", "LAZARETTO_QUARANTINE_BUCKET"}
    assert stack.env["AWS_SECRET_ACCESS_KEY"] not in environment
