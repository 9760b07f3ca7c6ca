"""The server's side of a child: born, given its call, listened to, ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from worker.sandbox import child
from worker.sandbox.layers import Layers
from worker.sandbox.wire import LARGEST_REPLY, Ending, Fate


class Child:
    """One process for one call, which it waits for from its birth."""

    def __init__(self, walls: Layers, database: Any) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            child.run(walls, database, theirs)
        theirs.close()
        self._gone = False

    def begin(self, message: bytes, files: Sequence[int]) -> None:
        """Hand over the call. Raises `OSError` where it has died while it waited."""
        socket.send_fds(self._link, [message], list(files))

    def ending(self, seconds: float, control: socket.socket) -> Ending:
        """Its answer, or its end, or that it took longer than `seconds`. Ends this process where the worker's is over.

        After an answer it may still be alive, which `kill` puts an end to: its end takes as long as a small image.
        """
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        poll.register(control, select.POLLRDHUP)
        happened = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
        if control.fileno() in happened:
            self._end()
            sys.exit()
        if not happened:
            self._end()
            return Ending(Fate.TIMED_OUT, 0, b"")
        if said := self._said():
            return Ending(Fate.EXITED, said[0], said[1:])
        status = self._end()
        return Ending(Fate.SIGNALLED, -status, b"") if status < 0 else Ending(Fate.EXITED, status, b"")

    def kill(self) -> None:
        """At once, with all that a hijacked one may have started, and whether or not it is dying already."""
        for kill in () if self._gone else (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                kill(self._pid, signal.SIGKILL)

    def is_gone(self) -> bool:
        """Is nothing left of it?"""
        return self._gone or self._buried(os.WNOHANG) is not None

    def _said(self) -> bytes:
        """Nothing where it died, or closed its end, without a word."""
        with suppress(ConnectionResetError):  # before it took its call
            return self._link.recv(1 + LARGEST_REPLY)
        return b""

    def _end(self) -> int:
        """Nothing is left of it. How it ended: exit status, or signal below zero; SIGKILL where that was us."""
        self.kill()
        return self._buried() or 0

    def _buried(self, options: int = 0) -> int | None:
        pid, status = os.waitpid(self._pid, options)
        if not pid:
            return None
        self._gone = True
        self._link.close()
        return os.waitstatus_to_exitcode(status)
