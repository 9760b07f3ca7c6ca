"""HTTP: to the API with the key, to the object store without it; again where that can help."""

from __future__ import annotations

import email.utils
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import httpx

from lazaretto_client.faults import LazarettoError, Problem, Unreachable

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds; doubled from try to try
_LONGEST_RETRY_AFTER = 60.0  # seconds; whoever is told to wait for longer decides for itself
_WORTH_ANOTHER_TRY = frozenset({429, 502, 503, 504})  # where no problem says so: a proxy's, or the store's
_SERVERS_FAULT = frozenset({500, 503})  # S3's InternalError and SlowDown


class Body(Protocol):
    """What is sent, piece by piece."""

    content_type: str | None

    @property
    def size(self) -> int | None: ...
    @property
    def repeatable(self) -> bool: ...
    def chunks(self) -> Iterator[bytes]: ...


class Transport:
    """Safe to use from several threads."""

    def __init__(self, url: str, key: str, agent: str, timeout: float, retries: int) -> None:
        """`timeout`: seconds for each step of a request. `retries`: after the first try."""
        headers, self.url, self._retries = {"User-Agent": agent}, url.rstrip("/"), retries
        limits = httpx.Timeout(timeout)
        self._api = httpx.Client(
            base_url=url, headers=headers | {"Authorization": f"Bearer {key}"}, timeout=limits, follow_redirects=False
        )
        # A client of its own: the key cannot reach the store, whatever the addresses are.
        self._store = httpx.Client(headers=headers, timeout=limits, follow_redirects=False)

    def close(self) -> None:
        self._api.close()
        self._store.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """The API's answer, where it is no refusal. Raises `Problem` or `Unreachable`."""

        def once() -> httpx.Response:
            sent = dict(headers or {}) | (_described(body) if body else {})
            options: dict[str, Any] = {"content": body.chunks()} if body else {"json": content} if content else {}
            with _faults_told(self.url):
                answer = self._api.request(method, path, params=params, headers=sent, **options)
            if answer.is_success or answer.status_code == httpx.codes.TEMPORARY_REDIRECT:
                return answer
            raise _problem(answer)

        return self.repeated(once, body)

    def post_to_store(self, url: str, form: Body) -> None:
        """Post a form to an address that needs no key. Raises `Problem` or `Unreachable`."""

        def once() -> None:
            with _faults_told("the object store"):
                answer = self._store.post(url, content=form.chunks(), headers=_described(form))
            if not answer.is_success:
                raise _refusal(answer)

        self.repeated(once, form)

    @contextmanager
    def from_store(self, url: str) -> Iterator[Iterator[bytes]]:
        """What is at an address that needs no key, piece by piece. Raises `Problem` or `Unreachable`."""
        as_it_is = {"Accept-Encoding": "identity"}
        with _faults_told("the object store"), self._store.stream("GET", url, headers=as_it_is) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            yield answer.iter_raw()

    def repeated(self, once: Callable[[], T], body: Body | None = None) -> T:
        """Call until it succeeds, or can no more: a fault that will stay, or the tries are used up."""
        tries = 0
        while True:
            try:
                return once()
            except LazarettoError as fault:
                tries += 1
                hopeless = not fault.retryable or (fault.retry_after or 0) > _LONGEST_RETRY_AFTER
                if hopeless or tries > self._retries or (body and not body.repeatable):
                    raise
                time.sleep(_pause(tries, fault.retry_after))


def _pause(tries: int, retry_after: float | None) -> float:
    """Seconds before the next try; spread out, so that many clients do not come back at the same moment."""
    grown = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (tries - 1)) * random.uniform(0.5, 1)  # noqa: S311, no secret
    return grown if retry_after is None else retry_after + grown


def _described(body: Body) -> dict[str, str]:
    """Headers; a body whose size is unknown goes in chunks."""
    kind = {"Content-Type": body.content_type} if body.content_type else {}
    return kind if body.size is None else kind | {"Content-Length": str(body.size)}


@contextmanager
def _faults_told(who: str) -> Iterator[None]:
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as fault:
        raise Unreachable(f"{who} cannot be asked ({fault})", retryable=False) from fault
    except httpx.RequestError as fault:
        raise Unreachable(f"{who} does not answer ({str(fault) or type(fault).__name__})") from fault


def _problem(answer: httpx.Response) -> Problem:
    """What the API says, or what a proxy in front of it does."""
    said = _said(answer)
    return Problem(
        answer.status_code,
        said.get("code", "unexpected_answer"),
        said.get("detail", f"{answer.request.method} {answer.url} answers {answer.status_code}"),
        expected=said.get("expected"),
        retryable=bool(said.get("retryable", answer.status_code in _WORTH_ANOTHER_TRY)),
        request_id=said.get("request_id") or answer.headers.get("x-request-id"),
        retry_after=_seconds(answer.headers.get("retry-after")),
    )


def _said(answer: httpx.Response) -> dict[str, Any]:
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        with suppress(ValueError):
            said = json.loads(answer.content)
            return said if isinstance(said, dict) else {}
    return {}


def _refusal(answer: httpx.Response) -> Problem:
    retryable = answer.status_code in _SERVERS_FAULT | _WORTH_ANOTHER_TRY
    detail = f"the object store answers {answer.status_code}: {answer.text[:500]}"
    return Problem(answer.status_code, "store_refuses", detail, retryable=retryable)


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` (RFC 9110, 10.2.3): seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        date = email.utils.parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):  # the latter for a year, or an offset, without end
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
