"""A request that is sent again with its key costs its service nothing more; and one request has one key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server import Server
from tests.system import System

_LIMITS = """
[services.small.limits]
bytes_per_day = "1 MiB"
"""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """One kind will do: what is tried here is counted in Redis."""
    return f"sqlite:///{tmp_path / 'lazaretto.db'}"


def test_an_upload_that_took_all_of_a_quota_is_found_again(system: System) -> None:
    with Server(system.with_policy(_LIMITS)) as server, server.client(system.key_of("small")) as client:
        uploads: list[tuple[str, str, dict[str, Any]]] = [
            ("PUT", "/v1/uploads/a.txt", {"content": bytes(1 << 19)}),
            ("POST", "/v1/uploads", {"files": {"file": bytes(1 << 18)}}),
        ]
        for number, (method, path, body) in enumerate(uploads):
            headers = {"Idempotency-Key": f"key-{number}"}
            first, again, third = (client.request(method, path, headers=headers, **body) for _ in range(3))
            assert (first.status_code, again.status_code, third.status_code) == (202, 202, 202)
            assert first.json()["id"] == again.json()["id"] == third.json()["id"]
        left = client.put("/v1/uploads/b.txt", content=bytes(1 << 19))
        assert (left.status_code, left.json()["code"]) == (429, "quota_exceeded")
        assert client.put("/v1/uploads/b.txt", content=bytes(1 << 17)).status_code == 202


def test_a_request_has_one_key(system: System) -> None:
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "another")]
    with Server(system.settings) as server, server.client() as client:
        answer = client.put("/v1/uploads/a.txt", content=b"x", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert answer.json()["expected"] == "one header Idempotency-Key"
    assert system.all() == []
