"""A clamd that some files are fatal to: the real one, behind a gate that reads along."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

HOLDS = b"this file keeps its scanner busy for ever"
CRASHES = b"this file crashes its scanner"
_DOWN_SECONDS = 1.0  # how long a crashed scanner takes to come back, unless a test says otherwise


class ClamdProxy:
    """Passes everything on, but for a file that has one of the two texts in it."""

    def __init__(self, address: str) -> None:
        """`address`: of the real clamd, `tcp://host:port`."""
        parts = urlsplit(address)
        self._real = (parts.hostname or "", parts.port or 0)
        self._down_until = 0.0
        self.down_seconds = _DOWN_SECONDS
        self.sound = False  # once it is, no file is fatal to it any more
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> str:
        """As `LAZARETTO_CLAMD` names it."""
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    @classmethod
    @contextmanager
    def running(cls, address: str) -> Iterator[ClamdProxy]:
        proxy = cls(address)
        threading.Thread(target=proxy._serve, daemon=True).start()
        try:
            yield proxy
        finally:
            proxy._listener.shutdown(socket.SHUT_RDWR)
            proxy._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if time.monotonic() < self._down_until:
                return
            with socket.create_connection(self._real) as real:
                threading.Thread(target=_pump, args=[real, client], daemon=True).start()
                self._read_along(client, real)

    def _read_along(self, client: socket.socket, real: socket.socket) -> None:
        seen = b""
        while data := client.recv(65536):
            seen = (seen + data)[-65536 - len(HOLDS) :]
            if CRASHES in seen and not self.sound:
                self._down_until = time.monotonic() + self.down_seconds
                return
            if HOLDS in seen:
                while client.recv(65536):
                    pass
                return
            real.sendall(data)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
