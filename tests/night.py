"""A stack in the states in which an operator is woken: whatever the words in capitals of the runbook stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from tests.runbook import Command
from tests.stack import Stack, until
from worker import api_keys
from worker.canaries import encrypted_zip
from worker.services import Scope
from worker.store.database import Database
from worker.store.tables import deliveries, scans


@dataclass
class Night:
    """Used by one test after the other."""

    stack: Stack
    folder: Path
    filled: dict[str, str] = field(default_factory=dict)  # what they stood for last

    @cached_property
    def database(self) -> Database:
        return Database(self.stack.env["LAZARETTO_DATABASE_URL"])

    @property
    def environment(self) -> dict[str, str]:
        """What the operator's shell knows, before it reads `stack.env`."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME")}
        return kept | {"LAZARETTO_HOME": str(self.stack.home), "PYTHONUNBUFFERED": "1"}

    def fill(self, command: Command) -> str:
        """The command as an operator would type it."""
        words: dict[str, Callable[[], str]] = {
            "ID": lambda: self.promoted() if "rescan" in command.text else self.held(),
            "PREFIX": self.key,
            "PID": lambda: str(self.stack.named("worker.tasks")),
            "SERVICE": lambda: "default",
            "DELIVERY": self.given_up,
            "/etc/clamav/freshclam.conf": self.freshclam,
        }
        text = command.text
        for word, meant in words.items():
            if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text.replace("=/etc", " /etc")):
                self.filled[word] = meant()
                text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", self.filled[word], text)
        return text

    def held(self) -> str:
        """A scan that could not be scanned."""
        return self._uploaded(encrypted_zip(), "secret.zip", "unscannable")

    def promoted(self) -> str:
        return self._uploaded(b"hello", "hello.txt", "clean")

    def failed(self) -> str:
        """One whose attempts have all failed: its bytes are where those of a held one are."""
        scan_id = self.held()
        error = {"code": "scanner_failed", "message": "The scanner was lost at work.", "retryable": True}
        with self.database.write() as connection:
            values: dict[str, Any] = {"status": "failed", "error": error, "verdict": None, "reasons": []}
            connection.execute(update(scans).where(scans.c.id == scan_id).values(values))
        return scan_id

    def status(self, scan_id: str) -> str:
        with self.stack.client() as client:
            return str(client.get(f"/v1/scans/{scan_id}", params={"wait": 30}).json()["status"])

    def key(self) -> str:
        """The prefix of an operator's key."""
        return api_keys.create(self.database, "default", [Scope.OPERATE], None).prefix

    def given_up(self) -> str:
        """A webhook whose receiver has failed for a day."""
        self.promoted()
        until(lambda: bool(self._delivered()), 30, "a webhook")
        webhook = self._delivered()[0]
        with self.database.write() as connection:
            connection.execute(update(deliveries).where(deliveries.c.id == webhook).values(status="given_up"))
        return webhook

    def freshclam(self) -> str:
        """A configuration whose mirror is nobody."""
        path, signatures = self.folder / "freshclam.conf", self.folder / "fetched"
        signatures.mkdir(exist_ok=True)
        lines = [
            "DatabaseMirror https://127.0.0.1:9",
            f"DatabaseDirectory {signatures}",
            f"DatabaseOwner {signatures.owner()}",
            "ConnectTimeout 1",
            "MaxAttempts 1",
        ]
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    def _uploaded(self, data: bytes, name: str, status: str) -> str:
        with self.stack.client() as client:
            scan = client.put(f"/v1/uploads/{name}", content=data).json()
            ended = client.get(f"/v1/scans/{scan['id']}", params={"wait": 30}).json()
        assert ended["status"] == status, ended
        return str(ended["id"])

    def _delivered(self) -> list[str]:
        delivered = select(deliveries.c.id).where(deliveries.c.status == "delivered").order_by(deliveries.c.id.desc())
        with self.database.read() as connection:
            return list(connection.execute(delivered).scalars())
