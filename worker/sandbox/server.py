"""The fork server: has the decoders loaded, never runs them, and forks a fresh child for each call.

A child forked after libvips ran would hang on its threads; and this process must stay out of reach of any file: all
that libmagic sees here is a line of our own.
It is started by exec with an empty environment, and ends when the worker that started it does.
"""

from __future__ import annotations

import codecs
import gc
import os
import socket
import time
from collections.abc import Callable

from worker.sandbox import images, layers, sniffing
from worker.sandbox.children import Child
from worker.sandbox.privileges import become_undumpable
from worker.sandbox.wire import LARGEST_MESSAGE, Ready, Request

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
    _answer_calls(control, lambda: Child(walls, database))


def _answer_calls(control: socket.socket, born: Callable[[], Child]) -> None:
    """The next child is born while one works, and the last one dies while the next works: neither is waited for."""
    spare, dying = born(), list[Child]()
    while True:
        message, files, _, _ = socket.recv_fds(control, LARGEST_MESSAGE, _MOST_FILES)
        if not message:
            return
        try:
            spare.begin(message, files)
        except OSError:  # somebody killed it while it had nothing to do
            dying.append(spare)
            spare = born()
            spare.begin(message, files)
        for descriptor in files:
            os.close(descriptor)
        busy, spare = spare, born()
        control.send(busy.ending(Request.unpack(message).seconds, control).pack())
        busy.kill()
        dying = [each for each in (*dying, busy) if not each.is_gone()]
