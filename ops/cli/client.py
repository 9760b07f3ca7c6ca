"""The HTTP API as the command-line tool uses it: where it is, with which key, and its problems as one line."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx
from dotenv import dotenv_values

Source = Path | BinaryIO

_CHUNK = 1024 * 1024  # bytes
_TRIES = 4
_WAIT = 30  # seconds per request; asked again until the scan has ended
_TIMEOUT = httpx.Timeout(30, read=120)


class ApiFault(Exception):
    """The API refused, or does not answer."""

    def __init__(self, message: str, expected: str | None = None, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.expected, self.retryable = expected, retryable


class Api:
    """The API of the stack whose settings are in the environment, in `.env`, or in the home's `stack.env`."""

    def __init__(self) -> None:
        known = _settings()
        host, port = known.get("LAZARETTO_HOST", "127.0.0.1"), known.get("LAZARETTO_PORT", "8000")
        key = known.get("LAZARETTO_API_KEY") or known.get("LAZARETTO_BOOTSTRAP_API_KEY")
        if not key:
            raise ApiFault("no API key is known", "LAZARETTO_API_KEY, or the stack.env of a running stack")
        self._http = httpx.Client(
            base_url=known.get("LAZARETTO_URL") or f"http://{host}:{port}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
        )

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path. Raises `ApiFault`."""
        return self._ask("GET", path, params={name: value for name, value in query.items() if value})

    def upload(self, name: bytes, source: Source) -> dict[str, Any]:
        """Upload a file under a name, again where that can help. Raises `ApiFault`."""
        path = f"/v1/uploads/{quote(name, safe='')}"
        tries = _TRIES if isinstance(source, Path) else 1  # a stream cannot be sent twice
        for attempt in range(1, tries + 1):
            try:
                scan: dict[str, Any] = self._ask("PUT", path, content=_chunks(source))
                return scan
            except ApiFault as fault:
                if not fault.retryable or attempt == tries:
                    raise
                time.sleep(2**attempt)
        raise AssertionError

    def outcome(self, scan_id: str) -> dict[str, Any]:
        """The scan, once it has ended; an API that is away for a moment changes nothing. Raises `ApiFault`."""
        failures = 0
        while True:
            try:
                scan: dict[str, Any] = self.get(f"/v1/scans/{scan_id}", wait=_WAIT)
            except ApiFault as fault:
                failures += 1
                if not fault.retryable or failures == _TRIES:
                    raise
                time.sleep(2**failures)
                continue
            if scan["finished_at"]:
                return scan
            failures = 0

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as fault:
            raise ApiFault(f"{self._http.base_url} does not answer ({fault})", retryable=True) from fault
        if answer.is_success:
            return answer.json()
        problem = _problem(answer)
        detail = problem.get("detail", f"{answer.status_code} {answer.reason_phrase}")
        raise ApiFault(detail, problem.get("expected"), retryable=bool(problem.get("retryable")))


def _problem(answer: httpx.Response) -> dict[str, Any]:
    if answer.headers.get("content-type") != "application/problem+json":
        return {}
    problem: dict[str, Any] = answer.json()
    return problem


def _chunks(source: Source) -> Iterator[bytes]:
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _settings() -> dict[str, str | None]:
    """The environment wins over `.env`, which wins over what a running stack wrote."""
    own = {**dotenv_values(".env"), **os.environ}
    home = own.get("LAZARETTO_HOME") or "var"
    return {**dotenv_values(Path(home) / "stack.env"), **own}
