"""The least that an upload over HTTP costs: the body into S3, and an answer. No name, no key, no hash, no database."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
from botocore.config import Config

from ops.bench.reception import BUCKET
from ops.embedded.application import Api

_THREADS = 64
_OURS, _THIS = "api.app:create_app", "ops.bench.put_only:create_app"
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class PutOnly(Api):
    """As a service: the same server with the same options."""

    def command(self) -> list[str]:
        return [_THIS if part == _OURS else part for part in super().command()]

    def ready(self) -> bool:
        try:
            return httpx.get(self.url, timeout=5, trust_env=False).status_code == httpx.codes.ACCEPTED
        except httpx.HTTPError:
            return False


def create_app() -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    """An ASGI application for one process."""
    s3 = boto3.client("s3", config=Config(max_pool_connections=_THREADS))
    threads = ThreadPoolExecutor(_THREADS)

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _live(receive, send)
            return
        body = await _body(receive)
        put = (lambda: s3.put_object(Bucket=BUCKET, Key=f"floor/{uuid.uuid4()}", Body=body)) if body else bool
        await asyncio.get_running_loop().run_in_executor(threads, put)
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"11")]})
        await send({"type": "http.response.body", "body": b'{"id": "0"}'})

    return app


async def _live(receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
