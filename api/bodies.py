"""Bodies other than files are small and come at once: FastAPI reads them whole, and before anybody asks for a key."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 256 * 1024  # metadata, and whatever escapes make of it
_SECONDS = 20.0
_STREAMED = re.compile("POST /v1/uploads|PUT /v1/uploads/.*", re.DOTALL)  # intake watches over these


class SmallBodies:
    """ASGI middleware. Who reads too much gets an `HTTPException`, which FastAPI passes on as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _STREAMED.fullmatch(f"{scope['method']} {scope['path']}"):
            await self._app(scope, receive, send)
            return
        left = MOST_BYTES
        deadline = asyncio.get_running_loop().time() + _SECONDS
        more = True

        async def receive_some() -> Message:
            nonlocal left, more
            try:
                async with asyncio.timeout_at(deadline if more else None):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {_SECONDS:g} s"
                ) from None
            left -= len(message.get("body", b""))
            more = message.get("more_body", False)
            if left < 0:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MOST_BYTES} bytes")
            return message

        await self._app(scope, receive_some, send)
