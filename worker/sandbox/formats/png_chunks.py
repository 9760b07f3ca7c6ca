"""The chunks that a PNG is made of (W3C PNG, third edition, section 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import takewhile
from typing import BinaryIO, NamedTuple

from worker.sandbox.refusal import undecodable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CUT = "the PNG ends in the middle of a chunk"


class Chunk(NamedTuple):
    """One chunk; its checksum was right."""

    name: bytes
    data: bytes


def is_animated(file: BinaryIO) -> bool:
    """Does it hold an animation? Reads no pixels. Raises `Refusal` if the file has no end."""
    names = _names(file)
    animated = b"acTL" in takewhile(lambda name: name != b"IDAT", names)
    for _ in names:  # on to the end: that the file is whole shows only there
        pass
    return animated


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """All chunks up to IEND. Raises `Refusal` if the file is cut or a checksum is wrong."""
    for name, length in _headers(file):
        data, checksum = file.read(length), file.read(4)
        if len(checksum) < 4:
            raise undecodable(_CUT)
        if zlib.crc32(name + data) != int.from_bytes(checksum):
            raise undecodable("a checksum in the PNG is wrong")
        yield Chunk(name, data)


def pack(name: bytes, data: bytes) -> bytes:
    """A chunk as it is written."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _names(file: BinaryIO) -> Iterator[bytes]:
    for name, length in _headers(file):
        yield name
        file.seek(length + 3, 1)
        if not file.read(1):  # seeking past the end goes unnoticed, reading there does not
            raise undecodable(_CUT)


def _headers(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length (bytes) of each chunk; the caller moves on to the end of the chunk."""
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise undecodable("it does not begin like a PNG")
    name = b""
    while name != b"IEND":
        header = file.read(8)
        if len(header) < 8:
            raise undecodable("the PNG has no end")
        length, name = int.from_bytes(header[:4]), header[4:]
        yield name, length
