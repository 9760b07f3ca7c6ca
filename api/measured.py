"""What Prometheus is told of each request: how many, how long, how much they ask of the database. Whoever sent one is
told of it, too (`timing`)."""

from __future__ import annotations

import time
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.timing import KEY_IS_KNOWN, server_timing
from worker import metrics
from worker.spent import Tally, counting

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_OTHER = "other"


class Measured:
    """ASGI middleware, next to the router, which notes in the scope whose request it is.

    How long a client takes to send its file, or has asked to wait for an end, says nothing about us: the first does
    not count, the second is a route of its own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with counting() as tally:
            request = _Request(scope, receive, send, tally)
            try:
                await self._app(scope, request.receive, request.send)
            finally:
                request.tell()


class _Request:
    """One request, from its head to that of its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, tally: Tally) -> None:
        self._scope, self._receive, self._send, self._tally = scope, receive, send, tally
        self._begun, self._awaited = time.perf_counter(), 0.0
        self._status = int(HTTPStatus.INTERNAL_SERVER_ERROR)  # what is answered to a request that breaks
        self._seconds: float | None = None

    async def receive(self) -> Message:
        asked = time.perf_counter()
        try:
            return await self._receive()
        finally:
            self._awaited += time.perf_counter() - asked

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._seconds = message["status"], self._passed()
            if KEY_IS_KNOWN in self._scope["state"]:
                MutableHeaders(scope=message)["Server-Timing"] = server_timing(self._seconds, self._tally)
        await self._send(message)

    def tell(self) -> None:
        method = self._scope["method"] if self._scope["method"] in _METHODS else _OTHER
        seconds = self._passed() if self._seconds is None else self._seconds
        metrics.answered(_route(self._scope), method, self._status, seconds, self._tally.statements)

    def _passed(self) -> float:
        return max(0.0, time.perf_counter() - self._begun - self._awaited)


def _route(scope: Scope) -> str:
    """Its template: there are as many as we have routes, whatever paths are asked for."""
    template: str | None = getattr(scope.get("route"), "path_format", None)
    if template is None:
        return _OTHER
    waits = template == "/v1/scans/{scan_id}" and b"wait=" in scope["query_string"]
    return f"{template}?wait" if waits else template
