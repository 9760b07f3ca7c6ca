"""One call, in one process of its own: confined, then the untrusted bytes, then an answer, then the end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NoReturn

from worker.sandbox import images, replies, sniffing
from worker.sandbox.confinement import confine
from worker.sandbox.layers import Layers
from worker.sandbox.replies import Answer
from worker.sandbox.wire import LARGEST_REPLY, Call, Request

FAULT = 70  # exit status: a fault of ours; what it was stands in the reply


def run(request: Request, layers: Layers, database: Any, files: Sequence[int], reply: int) -> NoReturn:
    """`files`: the descriptors of source and target. Never returns into the server's code, nor runs its exit hooks."""
    status = FAULT
    try:
        confine(
            layers,
            memory=request.memory,
            seconds=request.seconds,
            output=request.output,
            threads=request.call is Call.REENCODE,
            keep=[*files, reply],
        )
        os.write(reply, replies.pack(_answer(request, database, files)))
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the worker hears of it
        os.write(reply, repr(error).encode()[:LARGEST_REPLY])
    finally:
        os._exit(status)


def _answer(request: Request, database: Any, files: Sequence[int]) -> Answer:
    if request.call is Call.SNIFF:
        return sniffing.sniff(database, *files)
    source, target = files
    os.lseek(target, 0, os.SEEK_SET)
    return images.reencode(source, target, request.media_type, request.limits, request.treatment)
