"""The floor for the sandbox: its very code, called in a process that stays, without fork, walls and messages.

A process of its own, because one that has run libvips cannot fork any more.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from worker.sandbox import ImageLimits
from worker.sandbox.launcher import ENVIRONMENT

LIMITS = ImageLimits(max_pixels=100_000_000, max_frames=1000)


class Work(NamedTuple):
    """One call: re-encode an image of a type, or tell the type where none is given."""

    data: bytes
    media_type: str = ""


class InProcess:
    """The other process, as it is asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[InProcess]:
        """Started, and ended afterwards."""
        os.environ |= ENVIRONMENT
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        try:
            yield cls(ours)
        finally:
            ours.send(None)
            process.join()

    def seconds(self, work: Work) -> float:
        """How long one call takes."""
        self._connection.send(work)
        return float(self._connection.recv())


def memory_file(data: bytes = b"") -> int:
    """A descriptor that the caller closes."""
    descriptor = os.memfd_create("bench")
    os.write(descriptor, data)
    return descriptor


def _serve(connection: Connection) -> None:
    from worker.sandbox import images, sniffing  # in this process only: see above

    images.preload()
    database = sniffing.open_database()
    while work := connection.recv():
        source, target = memory_file(work.data), memory_file()
        begun = time.perf_counter()
        if work.media_type:
            os.lseek(source, 0, os.SEEK_SET)
            images.reencode(source, target, work.media_type, LIMITS)
        else:
            os.lseek(source, 0, os.SEEK_SET)
            sniffing.sniff(database, source)
        connection.send(time.perf_counter() - begun)
        os.close(source)
        os.close(target)
