"""A way to a server that keeps what clients say on it."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

_PIECE = 65536  # bytes


class Recorder:
    """Started by `running`; `url` is its own address, `said` all that clients have sent."""

    def __init__(self, listener: socket.socket, target: str) -> None:
        self.url, self.said = f"http://127.0.0.1:{listener.getsockname()[1]}", b""
        address = urlsplit(target)
        self._target, self._listener = (address.hostname or "", address.port or 0), listener

    @classmethod
    @contextmanager
    def running(cls, target: str) -> Iterator[Recorder]:
        """Before the server at the URL `target`."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            recorder = cls(listener, target)
            thread = threading.Thread(target=recorder._accept)
            thread.start()
            try:
                yield recorder
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _accept(self) -> None:
        with ThreadPoolExecutor() as pool:
            while True:
                try:
                    client, _ = self._listener.accept()
                except OSError:  # the end
                    return
                pool.submit(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """Until one side hangs up."""
        with client, socket.create_connection(self._target) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    piece = source.recv(_PIECE)
                    if source is client:
                        self.said += piece
                    if not piece:
                        return
                    (server if source is client else client).sendall(piece)
