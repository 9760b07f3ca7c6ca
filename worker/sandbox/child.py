"""One call, in one process of its own: locked in, then the untrusted bytes, then an answer, then the end."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any, NoReturn

from worker.sandbox import images, replies, sniffing
from worker.sandbox.confinement import close_in, withdraw
from worker.sandbox.layers import Layers
from worker.sandbox.replies import Answer
from worker.sandbox.wire import LARGEST_MESSAGE, LARGEST_REPLY, Call, Request

FAULT = 70  # exit status: a fault of ours; what it was stands in the reply
_MOST_FILES = 2  # source and target


def run(walls: Layers, database: Any, link: socket.socket) -> NoReturn:
    """Waits for its call on `link`, and answers with its exit status in a byte, and what it has to say.

    Never returns into the server's code, nor runs its exit hooks."""
    try:
        withdraw(walls, link.fileno())
        message, files, _, _ = socket.recv_fds(link, LARGEST_MESSAGE, _MOST_FILES)
        if message:
            os.write(link.fileno(), b"\0" + _carry_out(Request.unpack(message), walls, database, files))
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the worker hears of it
        os.write(link.fileno(), bytes([FAULT]) + repr(error).encode()[:LARGEST_REPLY])
        status = FAULT
    finally:
        os._exit(status)


def _carry_out(request: Request, walls: Layers, database: Any, files: Sequence[int]) -> bytes:
    close_in(
        walls,
        memory=request.memory,
        seconds=request.seconds,
        output=request.output,
        threads=request.call is Call.REENCODE,
    )
    return replies.pack(_answer(request, database, files))


def _answer(request: Request, database: Any, files: Sequence[int]) -> Answer:
    if request.call is Call.SNIFF:
        return sniffing.sniff(database, *files)
    source, target = files
    os.lseek(target, 0, os.SEEK_SET)
    return images.reencode(source, target, request.media_type, request.limits, request.treatment)
