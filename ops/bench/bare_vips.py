"""The floor for images: libvips with the options of the sandbox, in a process that stays, without walls and messages.

A process of its own, because one that has run libvips cannot fork any more.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from ops.bench.factory import leave_interrupts_to_the_parent
from worker.sandbox.launcher import ENVIRONMENT


class BareVips:
    """The other process, as it is asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[BareVips]:
        """Started, and ended afterwards."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        try:
            yield cls(ours)
        finally:
            with suppress(OSError):  # it has died
                ours.send(None)
            process.join()

    def seconds(self, data: bytes, media_type: str) -> float:
        """How long it takes to decode an image and to encode it anew, in its own format."""
        self._connection.send((data, media_type))
        return float(self._connection.recv())


def _serve(connection: Connection) -> None:
    leave_interrupts_to_the_parent()
    os.environ |= ENVIRONMENT
    import pyvips  # in this process only: see above

    from worker.sandbox.encoders import PNG, Traits, webp_options

    savers = {
        "image/jpeg": ("jpegsave_buffer", {"Q": 85, "optimize_coding": True, "subsample_mode": "on"}),
        "image/png": ("pngsave_buffer", PNG),
        "image/webp": ("webpsave_buffer", webp_options(Traits(), None)),
    }
    with suppress(EOFError):
        while work := connection.recv():
            data, (save, options) = work[0], savers[work[1]]
            begun = time.perf_counter()
            image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="error")
            getattr(image, save)(keep="none", **options)
            connection.send(time.perf_counter() - begun)
