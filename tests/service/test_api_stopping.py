"""A listening socket closes without resetting whoever has already connected."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from api.stopping import closing

PATIENCE = 5  # seconds; a kernel repeats an unheard SYN after one


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def _server(listener: socket.socket) -> Any:
    """What asyncio makes of a socket, as far as it matters here."""
    return SimpleNamespace(sockets=[listener], close=listener.close)


def _connecting(listener: socket.socket) -> socket.socket:
    """A client that has sent its first segment."""
    client = socket.socket()
    client.setblocking(False)
    assert client.connect_ex(listener.getsockname()) == errno.EINPROGRESS
    return client


def _outcome(client: socket.socket) -> int:
    """0, or how the attempt to connect failed."""
    assert select.select([], [client], [], PATIENCE)[1], "nothing has become of it"
    return client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def test_who_has_connected_is_served_and_who_comes_later_is_refused(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()) as early:
        with closing([_server(listener)]):
            late = _connecting(listener)
            accepted, _ = listener.accept()
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
        with accepted, late:
            early.sendall(b"?")
            assert accepted.recv(1) == b"?"
            accepted.sendall(b"!")
            assert early.recv(1) == b"!"
            assert _outcome(late) == errno.ECONNREFUSED


def test_other_processes_on_the_same_socket_go_on(listener: socket.socket) -> None:
    with listener.dup() as theirs:
        with closing([_server(listener)]):
            late = _connecting(theirs)
        with late, socket.create_connection(theirs.getsockname()):
            assert _outcome(late) == 0
