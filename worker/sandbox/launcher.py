"""The worker's side of the fork server: start it, pass it a call, end it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from worker.sandbox.wire import LARGEST_MESSAGE, Ending, Ready, Request

_ROOT = Path(__file__).resolve().parents[2]  # where the package `worker` lies
# `-I` keeps the environment and the working directory out of the import path, an uninstalled checkout with them.
_BOOT = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from worker.sandbox.server import serve
serve(socket.socket(fileno=int(sys.argv[2])))
"""
ENVIRONMENT = {
    "LC_CTYPE": "C.UTF-8",  # or Python sets it by itself
    # Memory in as few pieces as there can be: a child lives for one image, and each page that it touches first costs it
    # more than filling it. So: one arena, also for the threads of libvips; nothing mapped or given back in between,
    # where glibc has its way; and in huge pages, where the kernel has any (glibc 2.35 or newer).
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",  # 32 MiB, the most that glibc takes
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "TZ": "UTC0",  # or libmagic, printing the dates of a document, makes glibc look for /etc/localtime
    "VIPS_DISC_THRESHOLD": "1024g",  # or libvips keeps large images in files of its own; memory has its limit
    # Workers share out the processors, and the threads of one image cost more than they bring: 2 % of a photo's time,
    # 15 % of a large one's in AVIF. Fixed, whatever the machine has: the bytes of an AVIF depend on it.
    "VIPS_CONCURRENCY": "1",
}
_START_SECONDS = 60
_GRACE_SECONDS = 15  # beyond the child's own time: the server kills it, unless the server itself hangs
_END_SECONDS = 5


class ServerLost(Exception):
    """The fork server did not start, died or hangs."""


class ForkServer:
    """One process and the socket to it. Not thread-safe."""

    def __init__(self) -> None:
        """Starts it, and waits until it is ready. Raises `ServerLost`."""
        self.owner = os.getpid()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = start(theirs)
            except OSError as error:
                self._control.close()
                raise ServerLost(f"the sandbox could not be started ({error})") from error
        try:
            self.missing = Ready.unpack(self._receive(_START_SECONDS)).missing
        except ServerLost as error:
            self.stop()
            raise ServerLost("the sandbox did not start; the worker's log says why") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, request: Request, files: Sequence[int]) -> Ending:
        """One call in one child. Raises `ServerLost`."""
        try:
            socket.send_fds(self._control, [request.pack()], list(files))
        except OSError as error:
            raise ServerLost(f"the sandbox died before this file came ({error})") from error
        return Ending.unpack(self._receive(request.seconds + _GRACE_SECONDS))

    def stop(self) -> None:
        """End it, with whatever it runs."""
        self._control.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it at once; what it runs dies with it. Whoever waits for an answer gets `ServerLost`."""
        self._process.kill()

    def disown(self) -> None:
        """In a process forked from the owner: leave the server to the owner."""
        self._control.close()
        self._process.returncode = 0  # or Popen would complain that nobody waits for it

    def _receive(self, seconds: float) -> bytes:
        """One message. Raises `ServerLost` where the server has gone or stays silent."""
        self._control.settimeout(seconds)
        try:
            message = self._control.recv(LARGEST_MESSAGE)
        except OSError as error:
            raise ServerLost(f"the sandbox does not answer ({error})") from error
        if not message:
            raise ServerLost("the sandbox has died")
        return message


def start(control: socket.socket, boot: str = _BOOT) -> subprocess.Popen[bytes]:
    """By exec, so that nothing of the worker's memory comes along. Its stderr is the worker's; a child's is not.

    `-B`: a child that imports late must not try to write what it compiled; its file size is limited.
    boot: the program, for tests that look at the world it starts in.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter, our own code
        [sys.executable, "-I", "-B", "-c", boot, str(_ROOT), str(control.fileno())],
        env=ENVIRONMENT,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(control.fileno(),),
        start_new_session=True,  # Ctrl-C is for the worker, which finishes its file first
    )
