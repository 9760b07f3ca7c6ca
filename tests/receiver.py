"""A receiver of webhooks, as a service would write it: verifies with `standardwebhooks`, and does what a test says."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from ops.embedded.ports import choose


@dataclass(frozen=True)
class Received:
    """One request."""

    at: float  # monotonic
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The event. Raises `WebhookVerificationError`."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[["Handler", Received], None]


def say(status: int, **headers: str) -> Answer:
    """Answer so, without a body."""

    def answer(handler: Handler, _received: Received) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return answer


def hang(handler: Handler, _received: Received) -> None:
    """Say nothing, until the other side has gone."""
    handler.connection.settimeout(30)
    handler.rfile.read(1)


def drip(handler: Handler, _received: Received) -> None:
    """An endless head, one byte at a time."""
    _drip(handler, b"HTTP/1.1 200 OK\r\nx: ", b"x")


def drip_body(handler: Handler, _received: Received) -> None:
    """All is well, and it goes on for ever."""
    _drip(handler, b"HTTP/1.1 200 OK\r\n\r\n", b"x")


def stall_body(handler: Handler, received: Received) -> None:
    """All is well, and there is more to come, which does not."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    hang(handler, received)


def flood(handler: Handler, _received: Received) -> None:
    """All is well, and here is a gigabyte."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
    for _ in range(1024):
        handler.wfile.write(bytes(1 << 20))
        handler.receiver.flooded += 1 << 20


def _drip(handler: Handler, head: bytes, drop: bytes) -> None:
    handler.wfile.write(head)
    for _ in range(600):
        handler.wfile.write(drop)
        time.sleep(0.05)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(time.monotonic(), headers, body)
        with self.receiver.lock:
            self.receiver.received.append(received)
            self.receiver.at_once += 1
            self.receiver.most_at_once = max(self.receiver.most_at_once, self.receiver.at_once)
        try:
            self.receiver.answer(self, received)
        except OSError:
            self.close_connection = True  # the other side has gone
        finally:
            with self.receiver.lock:
                self.receiver.at_once -= 1

    do_GET = do_POST  # noqa: N815 - what it is called by

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called by
        """Tests look at `received`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """The other side has gone; whoever expected an answer says so."""


@dataclass
class Receiver:
    """Listens while it is in `listening`; `answer` may change at any time."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    answer: Answer = field(default_factory=lambda: say(204))
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_once: int = 0
    most_at_once: int = 0
    flooded: int = 0  # bytes

    def __post_init__(self) -> None:
        self.port = self.port or choose(["receiver"])["receiver"]

    @classmethod
    @contextmanager
    def running(cls, **fields: Any) -> Iterator[Receiver]:
        receiver = cls(**fields)
        with receiver.listening():
            yield receiver

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Down before, and down again afterwards: connections are refused."""
        server = _Server((self.host, self.port), type("_Handler", (Handler,), {"receiver": self}))
        if self.tls:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hooks?from=lazaretto"

    def ids(self) -> set[str]:
        with self.lock:
            return {each.id for each in self.received}

    def unverified(self, secret: str) -> list[Received]:
        """Requests whose signature will not do."""
        with self.lock:
            return [each for each in self.received if not _is_valid(each, secret)]


def _is_valid(received: Received, secret: str) -> bool:
    try:
        received.verified(secret)
    except WebhookVerificationError:
        return False
    return True


def reserve() -> socket.socket:
    """A port that nobody listens on, for as long as the socket is open."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken
