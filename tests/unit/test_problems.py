"""Every error is a problem: of routes, methods and bodies, whatever the client's words are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from api import bodies, problems
from api.bodies import SmallBodies
from api.methods import Methods


class Wish(BaseModel):
    """A body of JSON, as routes without a file have it."""

    name: str
    size: int


def _app() -> FastAPI:
    app = FastAPI(redirect_slashes=False)

    @app.get("/things/{name}")
    def read(name: str, limit: int = 1) -> str:
        return name * limit

    @app.delete("/things/{name}")
    def remove(name: str) -> None:
        return None

    @app.post("/things")
    def make(wish: Wish) -> Wish:
        return wish

    @app.get("/broken")
    def broken() -> None:
        raise ValueError("secret-password")

    problems.install(app)
    app.add_middleware(SmallBodies)
    app.add_middleware(Methods, router=app.router)
    return app


def _ask(method: str, path: str, **options: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(_app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, path, **options)

    return asyncio.run(asked())


def _is(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["code"], body["status"]) == (code, status)
    return body


def test_an_unknown_path() -> None:
    body = _is(_ask("GET", "/nowhere"), 404, "not_found")
    assert "/openapi.json" in body["expected"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "NONSENSE"])
def test_another_method_learns_of_all_that_would_do(method: str) -> None:
    answer = _ask(method, "/things/a")
    body = _is(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == body["expected"] == "GET, DELETE, HEAD, OPTIONS"


def test_head_and_options() -> None:
    assert _ask("HEAD", "/things/a").status_code == 200
    assert _ask("HEAD", "/things").headers["Allow"] == "POST, OPTIONS"
    options = _ask("OPTIONS", "/things/a")
    assert (options.status_code, options.headers["Allow"]) == (204, "GET, DELETE, HEAD, OPTIONS")
    _is(_ask("OPTIONS", "/nowhere"), 404, "not_found")


def test_what_is_wrong_with_a_query_is_named() -> None:
    body = _is(_ask("GET", "/things/a?limit=lots"), 422, "invalid_request")
    assert body["detail"] == "Not as it should be: query limit."
    assert body["expected"].startswith("query limit: Input should be a valid integer")


def test_a_body_is_named_and_not_repeated() -> None:
    answer = _ask("POST", "/things", json={"name": ["secret-password"], "size": "secret-number"})
    body = _is(answer, 422, "invalid_request")
    assert body["detail"] == "Not as it should be: body name, body size."
    assert "secret" not in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_body_of_another_type(kind: str) -> None:
    content = json.dumps({"name": "a", "size": 1}).encode()
    body = _is(_ask("POST", "/things", content=content, headers={"Content-Type": kind}), 415, "unsupported_media_type")
    assert body["expected"] == "a body of type application/json"


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/x+json"])
def test_a_body_of_json(kind: str) -> None:
    content = json.dumps({"name": "a", "size": 1}).encode()
    assert _ask("POST", "/things", content=content, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff", b""])
def test_a_body_that_is_no_json(content: bytes) -> None:
    answer = _ask("POST", "/things", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["expected"]


def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    answer = _ask("POST", "/things", content=endless(), headers={"Content-Type": "application/json"})
    _is(answer, 413, "body_too_large")
    assert sent <= bodies.MOST_BYTES + 2 * 65536


def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SECONDS", 0.1)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    answer = _ask("POST", "/things", content=stuck(), headers={"Content-Type": "application/json"})
    assert _is(answer, 408, "request_timeout")["retryable"]


def test_a_fault_of_ours_tells_nothing() -> None:
    answer = _ask("GET", "/broken")
    _is(answer, 500, "internal_error")
    assert "secret" not in answer.text


def test_words_of_the_client_are_harmless() -> None:
    """Control characters, the reversed direction of writing (U+202E), and no end."""
    body = _is(_ask("GET", "/nowhere%1b%5b2J%00%0a%e2%80%ae" + "x" * 5000), 404, "not_found")
    assert body["detail"].isprintable()
    assert len(body["detail"]) <= 1000
    assert "\\x1b[2J" in body["detail"]
