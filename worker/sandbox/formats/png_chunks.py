"""The chunks that a PNG is made of (W3C PNG, third edition, section 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import BinaryIO, NamedTuple

from worker.sandbox.refusal import undecodable
from worker.sandbox.tally import Tally

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EFFORT = 10  # of a step: see `Tally`
_CUT = "the PNG ends in the middle of a chunk"
_NO_METADATA = frozenset({b"IHDR", b"PLTE", b"IDAT", b"fdAT", b"fcTL", b"acTL", b"tRNS", b"IEND", b"iCCP"})
_COMPRESSED = {  # behind how many NULs the compressed part of a chunk begins, and how many bytes then
    b"zTXt": (1, 1),
    b"iCCP": (1, 1),
    b"iTXt": (1, 2),
}
_PIECE = 1 << 16  # bytes that are uncompressed at once
_LARGE_PIECE = 1 << 20  # bytes that are moved at once


class Chunk(NamedTuple):
    """One chunk; its checksum was right."""

    name: bytes
    data: bytes


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless every chunk is whole, and what they promise is within the limits."""
    size, animated, begun = (0, 0), False, False
    for name, length in _headers(file):
        tally.step(_EFFORT)
        start = file.tell()
        begun |= name == b"IDAT"
        if name == b"acTL" and not begun:
            animated = True
            tally.announced(_two_numbers(file, 0)[0])
        elif name == b"IHDR":
            size = _two_numbers(file, 0)
        elif name == b"fcTL":
            tally.frame(*_two_numbers(file, 4))
        elif name == b"iCCP":
            _count(file, name, length, tally.profile, tally.profile_left)
        elif name not in _NO_METADATA:
            _count(file, name, length, tally.metadata, tally.metadata_left)
        _skip(file, start + length)
    (tally.canvas if animated else tally.frame)(*size)
    tally.finish()
    return file.tell()


def is_animated(file: BinaryIO) -> bool:
    """Does it hold an animation? Reads no pixels."""
    return b"acTL" in takewhile(lambda name: name != b"IDAT", _names(file))


def colour_code(file: BinaryIO) -> tuple[int, int] | None:
    """Primaries and transfer by ITU-T H.273 (the chunk cICP), which come before any profile; None: it names none."""
    for name, length in _headers(file):
        end = file.tell() + length
        if name == b"cICP" and length == 4:
            primaries, transfer = file.read(2)
            return primaries, transfer
        if name == b"IDAT":
            break
        _skip(file, end)
    return None


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """All chunks up to IEND. Raises `Refusal` if the file is cut or a checksum is wrong."""
    for name, length in _headers(file):
        data, checksum = file.read(length), file.read(4)
        if len(checksum) < 4:
            raise undecodable(_CUT)
        if zlib.crc32(name + data) != int.from_bytes(checksum):
            raise undecodable("a checksum in the PNG is wrong")
        yield Chunk(name, data)


def drop(file: BinaryIO, unwanted: bytes) -> None:
    """Take a chunk out of a PNG of ours, if it stands before the pixels: what follows moves up, piece by piece."""
    for name, length in _headers(file):
        start, end = file.tell() - 8, file.tell() + length + 4
        if name == unwanted:
            _move_up(file, end, start)
        if name in (unwanted, b"IDAT"):
            return
        file.seek(end)


def pack(name: bytes, data: bytes) -> bytes:
    """A chunk as it is written."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _move_up(file: BinaryIO, source: int, target: int) -> None:
    file.seek(source)
    while piece := file.read(_LARGE_PIECE):
        source = file.tell()
        file.seek(target)
        target += file.write(piece)
        file.seek(source)
    file.truncate(target)


def _names(file: BinaryIO) -> Iterator[bytes]:
    for name, length in _headers(file):
        yield name
        _skip(file, file.tell() + length)


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


def _skip(file: BinaryIO, end: int) -> None:
    """Go behind the checksum of a chunk whose data end there."""
    file.seek(end + 3)
    if not file.read(1):  # seeking past the end goes unnoticed, reading there does not
        raise undecodable(_CUT)


def _two_numbers(file: BinaryIO, at: int) -> tuple[int, int]:
    data = file.read(at + 8)[at:]
    if len(data) < 8:
        raise undecodable(_CUT)
    return int.from_bytes(data[:4]), int.from_bytes(data[4:])


def _count(file: BinaryIO, name: bytes, length: int, count: Callable[[int], None], left: int) -> None:
    """Count a chunk as it is, and as it would be uncompressed: by no more than one piece beyond what is left."""
    count(length)
    if name not in _COMPRESSED:
        return
    nuls, more = _COMPRESSED[name]
    body = file.read(length).split(b"\0", nuls)[-1][more:]
    if name == b"iTXt":
        body = body.split(b"\0", 2)[-1]  # language and translated keyword
    count(_uncompressed_size(body, left))


def _uncompressed_size(data: bytes, at_most: int) -> int:
    """In bytes; what cannot be uncompressed any further counts as far as it could."""
    inflate, size = zlib.decompressobj(), 0
    try:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            while piece and size <= at_most:
                size += len(inflate.decompress(piece, _PIECE))
                piece = inflate.unconsumed_tail
    except zlib.error:
        pass  # no text; libpng leaves it out
    return size
