"""uvicorn's HTTP/1.1 connection, with bounds on everything that is sent before and beside a body.

uvicorn (0.54) and httptools put no bound on the size of a head, on that of trailers and chunk extensions, and on the
time all of it takes, and they read before anybody asks for a key. What is wrong with the HTTP itself is answered
as a problem, as everything else.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.dashboard import security
from api.problems import Problem, body_of
from api.stopping import running_uvicorn
from worker import clock

MOST_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 20.0  # from the first moment of a connection, or the first byte of a later head, to its end
DISCARD_SECONDS = 30.0  # for what is left of a body after its answer; nginx's `lingering_time` is as long
_LINGER_SECONDS = 5.0  # for what is left of a head after its answer

_TOO_LARGE = Problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "request_header_fields_too_large",
    f"The head of the request is larger than {MOST_HEAD_BYTES} bytes.",
    expected=f"a request line and headers of at most {MOST_HEAD_BYTES} bytes together",
)
_TOO_SLOW = Problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_timeout",
    f"The head of the request did not come within {HEAD_SECONDS:g} s.",
    expected="the whole head at once",
    retryable=True,
)
_MALFORMED = Problem(
    HTTPStatus.BAD_REQUEST, "bad_request", "This is not HTTP/1.1 as we read it.", expected="HTTP/1.1 (RFC 9112)"
)


def guard_connections() -> None:
    """Have the uvicorn that we run under use `Protocol` from now on; for the lifespan, before it listens.

    Its own option `--http` takes none but its own. Does nothing where uvicorn runs in a thread.
    """
    server = running_uvicorn()
    if server is not None:
        server.config.http_protocol_class = Protocol


class Protocol(HttpToolsProtocol):
    """One connection. Refuses at most once: nothing that comes afterwards is read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._beside = 0  # bytes that came since the last byte of a body, or the end of a head or a message
        self._head = 0  # bytes of the present head, as far as it is parsed
        self._awaiting_head = True
        self._refused = False
        self._lingering = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._time(HEAD_SECONDS, self._on_slow_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._time(0, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._beside += len(data)
        super().data_received(data)
        if max(self._beside, self._head) > MOST_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._awaiting_head and self._beside and self._timer is None:
            self._time(HEAD_SECONDS, self._on_slow_head)

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._head += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Also a trailer, which is no header and is kept nowhere."""
        self._head += len(name) + len(value) + len(b": \r\n")
        if self._awaiting_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._awaiting_head = False
        self._time(0, None)
        if self._refused or self._head > MOST_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
            return
        self._beside = 0
        super().on_headers_complete()
        self.cycle.transport = _Lingering(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._beside = 0
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._beside = self._head = 0
        self._awaiting_head = True
        if self._lingering:
            self.transport.close()
        elif not self._refused:
            self._time(0, None)
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """A client that sends on after its answer (413, say) reads it only if we do not close at once: the reset
        would overtake it. So the rest is read and dropped, for a while."""
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._time(DISCARD_SECONDS, self.transport.close)

    def linger(self) -> None:
        """Close, but not before a client that still sends its body could have read the answer."""
        if self._refused or not self.cycle.more_body or not self.transport.can_write_eof():
            self.transport.close()
        elif not self._lingering:
            self._lingering = True
            self.transport.write_eof()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls where the parser gives up."""
        self._refuse(_MALFORMED)

    def _on_slow_head(self) -> None:
        if self._beside:
            self._refuse(_TOO_SLOW)
        else:  # nobody has asked for anything
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        if self._refused:
            return
        self._refused = True
        self._time(0, None)
        if self.cycle is not None and not self.cycle.response_complete:
            self._end_with_present_answer()
            return
        request_id = clock.new_id()
        body = json.dumps(body_of(problem, request_id).model_dump()).encode()
        safe = "".join(f"{name}: {value}\r\n" for name, value in security.headers("http").items())
        head = (
            f"HTTP/1.1 {problem.status.value} {problem.status.phrase}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n{safe}Connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()  # and no close yet, as with answers that overtake a body
        self._time(_LINGER_SECONDS, self.transport.close)

    def _end_with_present_answer(self) -> None:
        """An answer of ours would be taken for that to the request before. Whose body is whole gets its own; whose
        body is broken never will be whole."""
        self.cycle.keep_alive = False
        self.pipeline.clear()
        if self.cycle.more_body:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.close()

    def _time(self, seconds: float, call: Any) -> None:
        """One timer at a time; without `call`, none."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, call) if call else None


class _Lingering:
    """The transport as uvicorn's `RequestResponseCycle` sees it, which closes at once where nothing is to follow."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self.close = protocol.linger
