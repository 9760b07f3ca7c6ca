"""From the signal to uvicorn's own shutdown: nobody who has reached this process goes away without an answer.

uvicorn (0.54, `Server.shutdown`) closes its listening socket with everybody whom the kernel has queued there, and
every connection whose request it has not read yet: under load, each stop resets a handful of clients. Only then does
it wait for the requests that run. So it learns of the signal a moment after us. By then newcomers have been kept out,
all others have been read, and nobody waits for the end of a scan any more.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import HANDLED_SIGNALS

_MOMENT = 0.25  # seconds in which whoever has connected sends the head of a request
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # <asm-generic/socket.h>; Python names neither
# Classic BPF on a TCP segment: what opens a connection is dropped, all else passes (`tcpdump -d`, <linux/filter.h>).
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the byte of the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else take it whole
)


class Stopping:
    """Has this process been asked to stop? Once it has, that stays so."""

    def __init__(self) -> None:
        self.asked = False
        self._winding_down: asyncio.Task[None] | None = None

    @contextmanager
    def before_uvicorn(self, release: Callable[[], None]) -> Iterator[None]:
        """Inside, signals come to us first; `release` is to let go whoever waits. A second signal goes straight on.

        For the lifespan: `Server.capture_signals` has set uvicorn's handler by then. Does nothing where uvicorn
        handles no signals, as in a thread.
        """
        server = running_uvicorn()
        if server is None:
            yield
            return
        loop = asyncio.get_running_loop()

        def asked(number: int, frame: FrameType | None) -> None:
            if self.asked:
                server.handle_exit(number, frame)
            else:
                self.asked = True
                loop.call_soon_threadsafe(self._wind_down, server, release, number)

        theirs = {number: signal.signal(number, asked) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in theirs.items():
                signal.signal(number, handler)

    def _wind_down(self, server: uvicorn.Server, release: Callable[[], None], number: int) -> None:
        self._winding_down = asyncio.create_task(_see_in(server, number))  # the loop itself would forget it
        release()


class LastAnswers:
    """ASGI middleware: once we are asked to stop, every answer says that it is the last of its connection."""

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        self._app, self._stopping = app, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_last(message: Message) -> None:
            if self._stopping.asked and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, send_last)


def running_uvicorn() -> uvicorn.Server | None:
    """The server we run under: the handler of the signal is its method. None where that is somebody else's."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if isinstance(server, uvicorn.Server) else None


async def _see_in(server: uvicorn.Server, number: int) -> None:
    """Read whoever has connected, then let uvicorn go on with its own way."""
    try:
        with closing(getattr(server, "servers", ())):  # there are none before the lifespan has begun
            await asyncio.sleep(_MOMENT)
    finally:
        server.handle_exit(number, None)


@contextmanager
def closing(listeners: Sequence[asyncio.Server]) -> Iterator[None]:
    """Inside, nobody new connects; at the end the listeners close, and nobody is left in their queues.

    The kernel drops the first segment of a newcomer, who sends it again a second later (RFC 6298) and finds the
    next process, or is refused. Other processes that listen on the same socket soon hear newcomers again.
    """
    sockets = [
        socket.fromfd(each.fileno(), each.family, each.type) for listener in listeners for each in listener.sockets
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _NO_SYN))
    attached = struct.pack("HL", len(_NO_SYN), ctypes.addressof(program))
    try:
        for each in sockets:
            with suppress(OSError):  # another kernel: the stop is as good as uvicorn's own
                each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
        yield
    finally:
        for listener in listeners:
            listener.close()
        for each in sockets:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            each.close()
