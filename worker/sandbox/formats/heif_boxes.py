"""The boxes that a HEIF or AVIF is made of (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from worker.sandbox.refusal import undecodable

_SHORT, _LONG = 8, 16  # bytes of a box before its content
_VERSIONED = frozenset({b"meta", b"iinf"})  # of those that are looked into: a version and flags come first


class Box(NamedTuple):
    """One box: its name, and where its content lies in the file."""

    name: bytes
    start: int
    end: int


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """All that begin in this part of the file; they end wherever they say."""
    while end - start >= _SHORT:
        file.seek(start)
        length, name, long_length = struct.unpack(">I4sQ", file.read(_LONG).ljust(_LONG, b"\0"))
        header = _LONG if length == 1 else _SHORT
        length = {0: end - start, 1: long_length}.get(length, length)
        if length < header:
            return
        yield Box(name, start + header, start + length)
        start += length


def inside(file: BinaryIO, outer: Box, *path: bytes) -> Iterator[Box]:
    """All boxes of that path, from the content of this one. Raises `Refusal` where one reaches beyond it."""
    name, *rest = path
    start = outer.start + (4 if outer.name in _VERSIONED else 0)
    if outer.name == b"iinf":  # then how many there are, in 16 bits, or 32 in later versions
        start += 2 if content(file, outer, 1) == b"\0" else 4
    for box in boxes(file, start, outer.end):
        if box.end > outer.end:
            raise undecodable("a box of it reaches beyond the one that it is in")
        if box.name == name:
            yield from inside(file, box, *rest) if rest else (box,)


def content(file: BinaryIO, box: Box, at_most: int) -> bytes:
    """The beginning of a box's content."""
    file.seek(box.start)
    return file.read(min(box.end - box.start, at_most))
