"""The example service, from its user's picture to Lazaretto's webhook, set up as its README says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from ops.embedded.ports import LOOPBACK, choose
from ops.embedded.programs import ours
from ops.samples.photo import photo
from tests.stack import Stack, until
from worker.canaries import eicar

PATIENCE = 60  # seconds
SERVICE = "pictures"
REPOSITORY = Path(__file__).parents[2]


class Sample:
    """The example service under uvicorn, and the stack that it uses."""

    def __init__(self, stack: Stack, port: int) -> None:
        self._stack = stack
        self._cli("services", "add", SERVICE)
        self.key = self._cli("keys", "create", SERVICE, "--scope", "submit", "--scope", "read")
        self.secret = self._cli("webhooks", "secret", SERVICE)
        variables = {
            "LAZARETTO_URL": stack.base_url,
            "LAZARETTO_API_KEY": self.key,
            "LAZARETTO_WEBHOOK_SECRET": self.secret,
        }
        command = [ours("uvicorn"), "ops.samples.service.app:app", "--port", str(port)]
        self._process = subprocess.Popen(command, env=os.environ | variables, cwd=REPOSITORY, stdout=sys.stderr)
        self.http = httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=PATIENCE, follow_redirects=True)

    @classmethod
    @contextmanager
    def running(cls, stack: Stack, port: int) -> Iterator[Sample]:
        sample = cls(stack, port)
        try:
            until(sample._answers, PATIENCE, "the example service")
            yield sample
        finally:
            sample.http.close()
            sample._process.terminate()
            sample._process.wait(PATIENCE)

    def upload(self, name: str, data: bytes) -> str:
        answer = self.http.post("/pictures", files={"file": (name, data)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def outcome(self, name: str, data: bytes) -> dict[str, Any]:
        """What its user sees in the end; only a webhook tells it so."""
        path = f"/pictures/{self.upload(name, data)}"
        until(lambda: self.http.get(path).json()["status"] in ("clean", "infected"), PATIENCE, "the webhook")
        seen: dict[str, Any] = self.http.get(path).json()
        return seen

    def tell(self, event: dict[str, Any], secret: str) -> int:
        """Post a webhook with this signature; the status of the answer."""
        body, now = json.dumps(event), datetime.now(UTC)
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg_1", now, body),
        }
        return self.http.post("/webhooks", content=body, headers=headers).status_code

    def _answers(self) -> bool:
        try:
            return self.http.get("/openapi.json").is_success
        except httpx.TransportError:
            return False

    def _cli(self, *arguments: str) -> str:
        """What a command of the operator prints, without what it says beside it."""
        env = {"LAZARETTO_HOME": str(self._stack.home), "PATH": os.environ["PATH"]}
        done = subprocess.run([ours("lazaretto"), *arguments], env=env, stdout=subprocess.PIPE, check=True)
        return done.stdout.decode().strip().splitlines()[-1]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Sample]:
    folder, port = tmp_path_factory.mktemp("sample"), choose(["sample"])["sample"]
    policy = folder / "policy.toml"
    url = f"http://{LOOPBACK}:{port}/webhooks"
    before = (REPOSITORY / "ops" / "policy.toml").read_text()
    policy.write_text(f'{before}\n[services.{SERVICE}]\nwebhook_url = "{url}"\n')
    settings = {"LAZARETTO_POLICY_FILE": str(policy), "LAZARETTO_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with (
        Stack.started(folder / "stack", development_signatures, **settings) as stack,
        Sample.running(stack, port) as running,
    ):
        yield running


def test_a_picture_is_shown_once_the_webhook_says_that_it_is_clean(sample: Sample) -> None:
    seen = sample.outcome("photo.jpg", photo())
    assert (seen["status"], seen["ready"], seen["why"]) == ("clean", True, [])
    picture = sample.http.get(f"/pictures/{seen['id']}/file")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert picture.content.startswith(b"\xff\xd8")


def test_malware_is_told_and_never_shown(sample: Sample) -> None:
    seen = sample.outcome("note.txt", eicar())
    assert (seen["status"], seen["ready"], len(seen["why"])) == ("infected", False, 1)
    assert sample.http.get(f"/pictures/{seen['id']}/file").status_code == 410


def test_only_who_knows_the_secret_is_believed(sample: Sample) -> None:
    seen = sample.outcome("note.txt", eicar())
    lie = {"id": seen["id"], "status": "clean", "filename": "", "decision": 99, "finished_at": "2026-01-01T00:00:00Z"}
    event = {"type": "scan.clean", "timestamp": "2026-01-01T00:00:00Z", "data": lie}
    assert sample.tell(event, "whsec_" + "A" * 32) == 400
    assert sample.http.get(f"/pictures/{seen['id']}").json() == seen
    assert sample.tell({"type": "webhook.test", "timestamp": "2026-01-01T00:00:00Z", "data": {}}, sample.secret) == 204
