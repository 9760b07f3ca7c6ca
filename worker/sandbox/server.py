"""The fork server: has the decoders loaded, never runs them, and forks one fresh child per call.

A child forked after libvips ran would hang on its threads; and this process must stay out of reach of any file.
It is started by exec with an empty environment, and ends when the worker that started it does.
"""

from __future__ import annotations

import codecs
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from worker.sandbox import child, images, layers, sniffing
from worker.sandbox.layers import Layers
from worker.sandbox.privileges import become_undumpable
from worker.sandbox.wire import LARGEST_MESSAGE, LARGEST_REPLY, Ending, Fate, Ready, Request

_MOST_FILES = 2  # source and target
# What the sniffers decode names and text with. A child can import nothing: the attempt ends it.
_CODECS = ("ascii", "cp437", "latin-1", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


def serve(control: socket.socket) -> None:
    """Answer calls, one at a time, until the worker's end of the socket closes."""
    become_undumpable()
    images.preload()
    database = sniffing.open_database()
    for name in _CODECS:
        codecs.lookup(name)
    time.tzset()
    walls = layers.prepare()
    gc.freeze()  # or a child's first collection copies every page
    control.send(Ready(walls.missing).pack())
    while True:
        message, files, _, _ = socket.recv_fds(control, LARGEST_MESSAGE, _MOST_FILES)
        if not message:
            return
        control.send(_run(Request.unpack(message), walls, database, files, control).pack())


def _run(request: Request, walls: Layers, database: Any, files: Sequence[int], control: socket.socket) -> Ending:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    pid = os.fork()
    if pid == 0:
        child.run(request, walls, database, files, writer)
    for descriptor in (*files, writer):
        os.close(descriptor)
    try:
        fate, number = _await(pid, request.seconds, control)
        return Ending(fate, number, _read(reader))
    finally:
        os.close(reader)


def _await(pid: int, seconds: float, control: socket.socket) -> tuple[Fate, int]:
    """Wait for the child's end, or the time limit, or the worker's end; then nothing of the child is left."""
    process = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(control, select.POLLRDHUP)
    happened = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
    os.close(process)
    for kill in (os.kill, os.killpg):  # also what a hijacked child has forked; neither can harm a dead child
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if control.fileno() in happened:
        sys.exit()
    if process not in happened:
        return Fate.TIMED_OUT, 0
    return (Fate.SIGNALLED, -status) if status < 0 else (Fate.EXITED, status)


def _read(reader: int) -> bytes:
    with suppress(BlockingIOError):  # nothing was said, and somebody still holds the other end
        return os.read(reader, LARGEST_REPLY)
    return b""
