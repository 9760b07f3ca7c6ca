"""What is sent before and beside a body: bounded in size and time, and answered as a problem where it is wrong."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api import protocol
from tests import processes
from tests.kept import SQLiteTemplate
from tests.server import Server
from tests.stack import until
from tests.system import KEY, System

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # no query of its own

MIB = 1024 * 1024


@pytest.fixture
def database_url(sqlite_template: SQLiteTemplate, tmp_path: Path) -> str:
    """One kind is enough: none of this reaches a database."""
    return sqlite_template.copied(tmp_path / "lazaretto.db")


@pytest.fixture
def server(system: System) -> Iterator[Server]:
    path = system.settings.home / "policy.toml"
    path.write_text('[default]\ntypes = ["text/plain"]\nmax_size = "1 MiB"\nmax_pixels = 1\nmax_frames = 1\n')
    with Server(system.settings.model_copy(update={"policy_file": path})) as running:
        yield running


def _connected(server: Server) -> closing[socket.socket]:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    return closing(connection)


def _answers(connection: socket.socket) -> list[tuple[int, Any]]:
    """Everything that comes until the server closes: status and JSON of each answer."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    answers = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        body, received = received[:length], received[length:]
        answers.append((int(head.split(b" ")[1]), json.loads(body) if body else None))
    return answers


def _is_problem(answer: tuple[int, Any], status: int, code: str) -> None:
    assert answer[0] == answer[1]["status"] == status
    assert answer[1]["code"] == code
    assert answer[1]["expected"]
    assert answer[1]["request_id"]


_PUT = f"PUT /v1/uploads/a.txt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n".encode()
_CHUNKED = _PUT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


_ENDLESS = {
    "one header": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ", b"x" * 65536),
    "headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"X-Y: z\r\n" * 8192),
    "a path": (b"GET /", b"x" * 65536),
    "a name": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"x" * 65536),
    "nothing but line ends": (b"", b"\r\n" * 32768),
}


def test_a_head_without_end_is_refused_while_it_comes(server: Server) -> None:
    for head, more in _ENDLESS.values():
        with _connected(server) as connection:
            connection.sendall(head + more * 2)
            _is_problem(_answers(connection)[0], 431, "request_header_fields_too_large")


def test_what_comes_after_the_refusal_is_not_kept(server: Server) -> None:
    before = processes.peak_memory(os.getpid())
    with _connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        for _ in range(97):
            connection.sendall(b"x" * MIB)
        _is_problem(_answers(connection)[0], 431, "request_header_fields_too_large")
    assert processes.peak_memory(os.getpid()) - before < 32 * MIB


def test_a_whole_head_is_measured(server: Server) -> None:
    for size, status in ((60 * 1024, 200), (66 * 1024, 431)):
        with _connected(server) as connection:
            head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"x" * size + b"\r\n\r\n"
            connection.sendall(head)
            assert _answers(connection)[0][0] == status


def test_chunk_extensions_and_trailers_are_bounded_too(system: System, server: Server) -> None:
    for beside in (b"5;" + b"x" * 300_000, b"0\r\n" + b"X: y\r\n" * 50_000):
        with _connected(server) as connection:
            connection.sendall(_CHUNKED + beside)
            _answers(connection)
    until(lambda: [scan.status.value for scan in system.all()] == ["expired"] * 2, 10, "the end of both uploads")
    until(lambda: system.quarantined() == [], 10, "nothing to be left")


def test_a_chunked_upload_of_many_small_chunks_is_no_head(system: System, server: Server) -> None:
    with _connected(server) as connection:
        connection.sendall(_PUT + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"1\r\nx\r\n" * 50_000 + b"0\r\nX-Sum: 1\r\n\r\n")
        assert _answers(connection)[0][1]["size"] == 50_000


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(protocol, "DISCARD_SECONDS", 0.5)


def test_a_head_that_trickles_is_given_up(hasty: None, server: Server) -> None:
    with _connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        begun = time.monotonic()
        while time.monotonic() < begun + 0.4:
            connection.sendall(b"X: y\r\n")
            time.sleep(0.05)
        _is_problem(_answers(connection)[0], 408, "request_timeout")
        assert time.monotonic() - begun < 8


def test_a_later_head_that_trickles_is_given_up_as_well(hasty: None, server: Server) -> None:
    with _connected(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        answers = _answers(connection)
    assert answers[0] == (200, {"status": "ok"})
    _is_problem(answers[1], 408, "request_timeout")


def test_a_connection_without_a_request_is_closed(hasty: None, server: Server) -> None:
    with _connected(server) as connection:
        assert _answers(connection) == []


def test_a_slow_body_is_no_slow_head(hasty: None, server: Server) -> None:
    with _connected(server) as connection:
        connection.sendall(_PUT + b"Connection: close\r\nContent-Length: 5\r\n\r\nhe")
        time.sleep(1)
        connection.sendall(b"llo")
        assert _answers(connection)[0][0] == 202


_NONSENSE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PUT /v1/uploads/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"PUT /v1/uploads/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
)


def test_what_is_no_http_is_a_problem(server: Server) -> None:
    for nonsense in _NONSENSE:
        with _connected(server) as connection:
            connection.sendall(nonsense)
            _is_problem(_answers(connection)[0], 400, "bad_request")


def test_nonsense_behind_a_request_is_not_taken_for_its_answer(system: System, server: Server) -> None:
    with _connected(server) as connection:
        connection.sendall(_PUT + b"Content-Length: 5\r\n\r\nhello" + b"\x00nonsense\r\n\r\n")
        answers = _answers(connection)
    assert [status for status, _body in answers] == [202]
    assert [scan.status.value for scan in system.all()] == ["queued"]


def test_a_client_that_reads_late_still_reads_why_its_upload_is_refused(server: Server) -> None:
    for manner in (b"", b"Connection: close\r\n"):
        with _connected(server) as connection:
            connection.sendall(_PUT + manner + f"Content-Length: {64 * MIB}\r\n\r\n".encode())
            for _ in range(64):
                connection.sendall(b"x" * MIB)
            connection.shutdown(socket.SHUT_WR)
            _is_problem(_answers(connection)[0], 413, "file_too_large")


def test_what_is_left_of_a_refused_upload_is_read_for_a_while_only(hasty: None, server: Server) -> None:
    with _connected(server) as connection:
        connection.sendall(_PUT + f"Content-Length: {1024 * MIB}\r\n\r\n".encode())
        until(lambda: not _takes_more(connection), 8, "the end of the connection")


def _takes_more(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x" * 1024)
    except (ConnectionResetError, BrokenPipeError):
        return False
    return True
