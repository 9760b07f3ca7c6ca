"""One clamd endpoint, on top of the `clamd` package.

The package is kept for its addresses and reply grammar; what it does wrong for us is replaced here: it connects
before it sets its time-out, uses `send` where `sendall` is needed, streams in chunks of 1 KiB, sees a size-limit
reply as a broken pipe, and hands out ("ERROR", …) as an ordinary value. Any reply that is not understood raises.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import clamd

from worker.errors import ScannerFailed, ScannerUnavailable

STREAM_CHUNK = 1024 * 1024  # bytes
_VERSION_SECONDS = 5.0
_LONGEST_REPLY = 64 * 1024  # bytes
_SIZE_LIMIT = "INSTREAM size limit exceeded. ERROR"
_VERSION = re.compile(r"(?P<engine>ClamAV [^/]+)(?:/(?P<database>\d+)(?:/(?P<time>.+))?)?$")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a scanner said about some bytes; the name it found, or None for `OK`."""

    found: str | None = None
    size_limit: bool = False  # it refused to look at so much


@dataclass(frozen=True, slots=True)
class Version:
    """Engine and signatures; no database number and time where no official database is loaded."""

    engine: str
    database: str | None
    database_time: datetime | None


class Endpoint:
    """One scanner: `unix:///path` (hands over descriptors) or `tcp://host:port` (streams)."""

    def __init__(self, address: str, *, connect_timeout: float, timeout: float) -> None:
        """Time-outs in seconds: to connect, and for each answer, a verdict included."""
        self.address = address
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._scanning: set[socket.socket] = set()

    def interrupt(self) -> None:
        """Hang up wherever a scan is going on: whoever waits for it gets `ScannerFailed`. From another thread.

        clamd itself may scan on until its MaxScanTime (https://github.com/Cisco-Talos/clamav/issues/1129)."""
        for link in tuple(self._scanning):
            with suppress(OSError):  # it has just been closed
                link.shutdown(socket.SHUT_RDWR)

    def scan(self, descriptor: int, seconds: float | None = None) -> Reply:
        """Have an open file examined, whatever its position.

        `seconds`: a time-out for the verdict, of an examination that is no scan's; nothing else interrupts it.

        Raises `ScannerUnavailable` where nothing listens, and `ScannerFailed` for everything that goes wrong
        once the scanner has been given the file.
        """
        with self._connected() as link, self._interruptible(link.clamd_socket) if seconds is None else nullcontext():
            whole = False
            if seconds is not None:
                link.clamd_socket.settimeout(seconds)
            # clamd answers "size limit exceeded" and closes while we still send: the answer waits to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                link.give(descriptor)
                whole = True
            reply = _understood(link, link.reply())
            if not whole and reply == Reply():
                raise ConnectionError("said OK to a file that it has not seen whole")
            return reply

    def version(self) -> Version:
        """Which engine and signatures are at work; at once, or not at all. Raises like `scan`."""
        with self._connected() as link:
            link.clamd_socket.settimeout(_VERSION_SECONDS)
            link.ask("VERSION")
            reply = link.reply()
        match = _VERSION.match(reply)
        if match is None:
            raise ScannerFailed(f"{self.address}: VERSION answered {reply!r}, expected 'ClamAV …'")
        number = match["database"] if match["database"] not in (None, "0") else None
        return Version(match["engine"], number, _moment(match["time"]) if number else None)

    def takes(self, size: int, seconds: float) -> bool:
        """Would it accept a stream of `size` bytes, below 4 GiB? `seconds`: a time-out.

        A chunk is announced and never sent: clamd objects to one beyond its StreamMaxLength when it reads the length
        (clamd/server-th.c), and otherwise sees us hang up. Where descriptors are handed over, nothing is streamed.
        Raises like `scan`.
        """
        with self._connected() as link:
            if not isinstance(link, _TcpLink):
                return True
            link.clamd_socket.settimeout(seconds)
            answer = link.announce(size)
            if answer not in ("", _SIZE_LIMIT):
                raise clamd.ResponseError(f"answered {answer!r} to a stream of {size} bytes")
            return not answer

    @contextmanager
    def _interruptible(self, link: socket.socket) -> Iterator[None]:
        self._scanning.add(link)
        try:
            yield
        finally:
            self._scanning.discard(link)

    @contextmanager
    def _connected(self) -> Iterator[_TcpLink | _UnixLink]:
        try:
            link = _open(self.address, self._connect_timeout, self._timeout)
        except OSError as fault:
            raise ScannerUnavailable(f"{self.address}: cannot connect ({fault}); trying again can help") from fault
        try:
            yield link
        except (OSError, clamd.ClamdError) as fault:
            raise ScannerFailed(f"{self.address}: lost while at work ({fault}); trying again can help") from fault
        finally:
            link.clamd_socket.close()


class _Link:
    """What is better here than in the package, on either kind of socket."""

    clamd_socket: socket.socket

    def ask(self, command: str) -> None:
        self.clamd_socket.sendall(f"n{command}\n".encode())

    def reply(self) -> str:
        """One whole line; half of one is no answer."""
        with self.clamd_socket.makefile("rb") as lines:
            line = lines.readline(_LONGEST_REPLY)
        if not line.endswith(b"\n"):
            raise ConnectionError(f"hung up after {line[:200]!r}")
        return line.decode("utf-8", "replace").strip()


class _UnixLink(_Link, clamd.ClamdUnixSocket):  # type: ignore[misc]  # the package has no types
    def give(self, descriptor: int) -> None:
        """`FILDES`: the scanner reads from the very file; nothing is copied."""
        self.ask("FILDES")
        socket.send_fds(self.clamd_socket, [b"\0"], [descriptor])


class _TcpLink(_Link, clamd.ClamdNetworkSocket):  # type: ignore[misc]  # the package has no types
    def give(self, descriptor: int) -> None:
        """`INSTREAM`: length-prefixed chunks (clamd(8)); read by position, since others read the file too."""
        self.ask("INSTREAM")
        at = 0
        while chunk := os.pread(descriptor, STREAM_CHUNK, at):
            self.clamd_socket.sendall(struct.pack("!L", len(chunk)) + chunk)
            at += len(chunk)
        self.clamd_socket.sendall(struct.pack("!L", 0))

    def announce(self, size: int) -> str:
        """Begin a stream with one chunk of that size, and break off; what clamd says to it."""
        self.ask("INSTREAM")
        self.clamd_socket.sendall(struct.pack("!L", size))
        self.clamd_socket.shutdown(socket.SHUT_WR)
        with self.clamd_socket.makefile("rb") as lines:
            return lines.readline(_LONGEST_REPLY).decode("utf-8", "replace").strip()


def _open(address: str, connect_timeout: float, timeout: float) -> _TcpLink | _UnixLink:
    """A connection, made within its time-out. Raises OSError."""
    parts = urlsplit(address)
    link: _TcpLink | _UnixLink
    if parts.scheme == "unix":
        link = _UnixLink(parts.path)
        link.clamd_socket = socket.socket(socket.AF_UNIX)
        link.clamd_socket.settimeout(connect_timeout)
        try:
            link.clamd_socket.connect(parts.path)
        except OSError:
            link.clamd_socket.close()
            raise
    else:
        host, port = parts.hostname or "", parts.port or 3310
        link = _TcpLink(host, port)
        link.clamd_socket = socket.create_connection((host, port), connect_timeout)
    link.clamd_socket.settimeout(timeout)
    return link


def _understood(link: _TcpLink | _UnixLink, line: str) -> Reply:
    """The meaning of a reply to a scan. Raises for all but a plain `OK`, a name with `FOUND`, and the size limit."""
    if line == _SIZE_LIMIT:
        return Reply(size_limit=True)
    _, name, status = link._parse_response(line)  # noqa: SLF001 - the package's grammar of replies
    if status == "OK" and not name:
        return Reply()
    if status == "FOUND" and name:
        return Reply(found=name)
    raise clamd.ResponseError(f"answered {line!r}, expected OK or FOUND")


def _moment(text: str | None) -> datetime:
    """When the signatures were made, in clamd's own zone, which is taken for UTC. An age that nobody can tell must
    not pass for a young one."""
    try:
        return datetime.strptime(text or "", "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError as fault:
        raise ScannerFailed(
            f"VERSION tells the signatures' time as {text!r}, expected like Mon Nov 23 08:00:00 2026"
        ) from fault
