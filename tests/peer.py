"""An HTTP server that does what it is told to, request by request: what networks and proxies do to a client."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What is answered once the request is read."""

    status: int
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def problem(cls, status: int, *, retryable: bool, **headers: str) -> Answer:
        """As the API says it."""
        body = {"code": "told_so", "detail": "It was told to.", "expected": "patience", "retryable": retryable}
        kind = {"Content-Type": "application/problem+json"}
        return cls(status, json.dumps(body | {"request_id": "r-1"}).encode(), kind | headers)


@dataclass(frozen=True)
class HangUp:
    """The connection breaks once so many bytes of the body are read."""

    after: int = 0


@dataclass(frozen=True)
class Seen:
    """A request as it came; `body` up to where the connection broke."""

    method: str
    path: str
    headers: Message
    body: bytes


class Peer:
    """Started by `running`. Takes the steps in turn, and repeats the last one."""

    def __init__(self, url: str, steps: list[Answer | HangUp]) -> None:
        self.url, self.seen = url, list[Seen]()
        self.steps, self._turn = steps, threading.Lock()

    @classmethod
    @contextmanager
    def running(cls, *steps: Answer | HangUp) -> Iterator[Peer]:
        with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
            peer = cls(f"http://127.0.0.1:{server.server_port}", list(steps))
            server.peer = peer  # type: ignore[attr-defined]
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield peer
            finally:
                server.shutdown()
                thread.join()

    def step(self) -> Answer | HangUp:
        with self._turn:
            return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        """Says nothing."""

    def _handle(self) -> None:
        peer: Peer = self.server.peer  # type: ignore[attr-defined]
        step = peer.step()
        most = step.after if isinstance(step, HangUp) else None
        body = self._chunked(most) if self.headers.get("Transfer-Encoding") else self._counted(most)
        peer.seen.append(Seen(self.command, self.path, self.headers, body))
        if isinstance(step, HangUp):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(step.status)
        for name, value in step.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(step.body)))
        self.end_headers()
        self.wfile.write(step.body)

    do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815, names of the base class

    def _counted(self, most: int | None) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length if most is None else min(most, length))

    def _chunked(self, most: int | None) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
            if most is not None and len(body) >= most:
                return body
        self.rfile.readline()
        return body
