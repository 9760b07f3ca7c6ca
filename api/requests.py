"""Every request has an id: taken from `X-Request-ID` or made, in every log line, on the record and in the answer."""

from __future__ import annotations

import re

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker import clock

ANSWER_HEADERS = "answer_headers"  # in the request's state: what its answer says, whatever becomes of it
_HEADER = "X-Request-ID"
_SENSIBLE = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)


class RequestIds:
    """ASGI middleware; it also sends what somebody put into the state as `ANSWER_HEADERS`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_HEADER, "")
        request_id = given if _SENSIBLE.fullmatch(given) else clock.new_id()
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[_HEADER] = request_id
                headers.update(scope["state"].get(ANSWER_HEADERS, {}))
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)
