"""A request that is sent again with its key costs its service nothing more; and one request has one key."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.kept import SQLiteTemplate
from tests.server import Server
from tests.system import System

_LIMITS = """
[services.small.limits]
bytes_per_day = "1 MiB"
"""


@pytest.fixture
def database_url(sqlite_template: SQLiteTemplate, tmp_path: Path) -> str:
    """One kind will do: what is tried here is counted in Redis."""
    return sqlite_template.copied(tmp_path / "lazaretto.db")


def _put(client: httpx.Client, headers: dict[str, str]) -> httpx.Response:
    return client.put("/v1/uploads/a.txt", content=bytes(1 << 19), headers=headers)


def _post(client: httpx.Client, headers: dict[str, str]) -> httpx.Response:
    return client.post("/v1/uploads", files={"file": bytes(1 << 18)}, headers=headers)


def test_an_upload_that_took_all_of_a_quota_is_found_again(system: System) -> None:
    with Server(system.with_policy(_LIMITS)) as server, server.client(system.key_of("small")) as client:
        for send in (_put, _post):
            headers = {"Idempotency-Key": send.__name__}
            first, *again = (send(client, headers) for _ in range(3))
            assert first.status_code == 202
            assert {(each.status_code, each.json()["id"]) for each in again} == {(202, first.json()["id"])}
        refused = client.put("/v1/uploads/b.txt", content=bytes(1 << 19))
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert client.put("/v1/uploads/b.txt", content=bytes(1 << 17)).status_code == 202


def test_a_request_has_one_key(system: System) -> None:
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "another")]
    with Server(system.settings) as server, server.client() as client:
        answer = client.put("/v1/uploads/a.txt", content=b"x", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert answer.json()["expected"] == "one header Idempotency-Key"
    assert system.all() == []
