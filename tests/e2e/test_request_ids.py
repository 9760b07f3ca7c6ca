"""One id from the request to the worker: in the answer, on the record, and in every process's log."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.stack import Stack, until


def _uploaded(client: httpx.Client, headers: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The id that was answered, and the scan at its end."""
    answer = client.put("/v1/uploads/a.txt", content=b"hello", headers=headers)
    assert answer.status_code == 202
    scan: dict[str, Any] = client.get(f"/v1/scans/{answer.json()['id']}", params={"wait": 60}).json()
    return answer.headers["X-Request-ID"], scan


@pytest.mark.parametrize("given", ["checkout-7f3c:2a52", None])
def test_an_id_leads_from_the_request_to_the_worker(stack: Stack, given: str | None) -> None:
    with stack.client() as client:
        request_id, scan = _uploaded(client, {"X-Request-ID": given} if given else {})
        events = client.get(f"/v1/scans/{scan['id']}/events").json()["items"]
    assert given is None or request_id == given
    assert {event["request_id"] for event in events} == {request_id}
    assert events[-1]["to"] == "clean"
    for process in ("api", "worker"):
        until(lambda name=process: _logged(stack, name, request_id), 5, f"a line of the {process}")  # type: ignore[misc]


def _logged(stack: Stack, process: str, request_id: str) -> bool:
    texts = [path.read_text() for path in stack.home.rglob(f"{process}*.log")]
    return any(f'"request_id": "{request_id}"' in text for text in texts)


@pytest.mark.parametrize("hostile", ["", "a b", "x" * 129, '"}', "a\tb", "<script>"])
def test_what_would_break_a_log_is_replaced(stack: Stack, hostile: str) -> None:
    with stack.client() as client:
        answer = client.get("/healthz", headers={"X-Request-ID": hostile})
        refused = client.get("/nowhere", headers={"X-Request-ID": hostile})
    for each in (answer.headers["X-Request-ID"], refused.headers["X-Request-ID"], refused.json()["request_id"]):
        assert re.fullmatch("[0-9a-f-]{36}", each)
