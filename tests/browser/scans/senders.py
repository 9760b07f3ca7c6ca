"""Who sends the files that operators look at."""

from __future__ import annotations

import json
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from tests.clamd_proxy import CRASHES
from worker.canaries import encrypted_zip

_number = count()


class Sender:
    """A service; every file is another one."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(self, name: str, data: bytes | None = None, metadata: dict[str, Any] | None = None) -> str:
        """Upload a file, of text unless it is given; the id of its scan."""
        fields = {"metadata": json.dumps(metadata or {})}
        body = data if data is not None else f"file {next(_number)} {uuid4()}".encode()
        answer = self._client.post("/v1/uploads", files={"file": (name, body)}, data=fields)
        answer.raise_for_status()
        scan_id: str = answer.json()["id"]
        return scan_id

    def put(self, name: str) -> str:
        """Upload a file under a name of any characters."""
        answer = self._client.put(f"/v1/uploads/{quote(name, safe='')}", content=f"file {uuid4()}".encode())
        answer.raise_for_status()
        scan_id: str = answer.json()["id"]
        return scan_id

    def sent(self, name: str, data: bytes | None = None, metadata: dict[str, Any] | None = None) -> str:
        """The same, and wait for its outcome."""
        scan_id = self.send(name, data, metadata)
        assert self.scan(scan_id, wait=60)["finished_at"] is not None
        return scan_id

    def failed(self, name: str) -> str:
        """A file that the scanner breaks down on."""
        scan_id = self.sent(name, CRASHES + str(uuid4()).encode())
        assert self.scan(scan_id)["status"] == "failed"
        return scan_id

    def held(self, name: str) -> str:
        """A file that nobody can look into."""
        scan_id = self.sent(name, encrypted_zip() + bytes(next(_number)))
        assert self.scan(scan_id)["status"] == "unscannable"
        return scan_id

    def scan(self, scan_id: str, wait: int = 0) -> dict[str, Any]:
        """How it stands."""
        scan: dict[str, Any] = self._client.get(f"/v1/scans/{scan_id}?wait={wait}").json()
        return scan

    def retry(self, scan_id: str) -> None:
        """Have it examined once more, as another operator would."""
        self._client.post(f"/v1/scans/{scan_id}/retry").raise_for_status()

    def erase(self, scan_id: str) -> None:
        """Have its bytes deleted."""
        self._client.delete(f"/v1/scans/{scan_id}").raise_for_status()

    def events(self, scan_id: str) -> list[dict[str, Any]]:
        """Its story."""
        events: list[dict[str, Any]] = self._client.get(f"/v1/scans/{scan_id}/events").json()["items"]
        return events
