"""The chunks that a WebP is made of (RFC 9649, section 2), read and written."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from worker.sandbox.refusal import undecodable
from worker.sandbox.tally import Tally

_EFFORT = 10  # of a step: see `Tally`
_HEADER = 8  # bytes of a chunk before its data
_FRAME_HEADER = 16  # bytes of a frame before its own chunks
_PIXELS = (b"VP8 ", b"VP8L")
_NO_METADATA = frozenset({*_PIXELS, b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"ICCP"})
_HAS_ALPHA, _IS_ANIMATED = 0x10, 0x02  # flags of VP8X


class Chunk(NamedTuple):
    """One chunk: its name, and where its data lie in the file."""

    name: bytes
    start: int
    length: int


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless every chunk is whole, and what they promise is within the limits."""
    end = container_end(file)
    animated, canvas = False, (0, 0)
    for chunk in chunks(file, 12, end):
        tally.step(_EFFORT)
        if chunk.name == b"VP8X":
            head = read(file, chunk, 10)
            animated, canvas = bool(head[0] & _IS_ANIMATED), size_at(head, 4)
            tally.canvas(*canvas)
        elif chunk.name == b"ANMF" and animated:
            _survey_frame(file, chunk, canvas, tally)
        elif chunk.name in _PIXELS and not animated:
            tally.frame(*_stored_size(file, chunk))
        elif chunk.name == b"ICCP":
            tally.profile(chunk.length)
        elif chunk.name not in _NO_METADATA:
            tally.metadata(chunk.length)
    tally.finish()
    return end


def container_end(file: BinaryIO) -> int:
    """Where the file ends by its own word. Raises `Refusal` if it is cut before that."""
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WEBP":
        raise undecodable("it does not begin like a WebP")
    length = int.from_bytes(head[4:8], "little")
    if file.seek(0, 2) < _HEADER + length:
        raise undecodable("the WebP is cut")
    return _HEADER + length + length % 2 if file.tell() > _HEADER + length else _HEADER + length


def chunks(file: BinaryIO, start: int, end: int) -> Iterator[Chunk]:
    """All chunks that begin in this part of the file. Raises `Refusal` where one reaches beyond it."""
    while end - start >= _HEADER:
        file.seek(start)
        name, length = struct.unpack("<4sI", file.read(_HEADER))
        start += _HEADER
        if start + length > end:
            raise undecodable("the WebP ends in the middle of a chunk")
        yield Chunk(name, start, length)
        start += length + length % 2


def frame_parts(file: BinaryIO, frame: Chunk) -> Iterator[Chunk]:
    """The chunks in an ANMF."""
    return chunks(file, frame.start + _FRAME_HEADER, frame.start + frame.length)


def read(file: BinaryIO, chunk: Chunk, at_least: int = 0) -> bytes:
    """The data of a chunk. Raises `Refusal` if they are fewer bytes than that."""
    file.seek(chunk.start)
    data = file.read(chunk.length)
    if len(data) < at_least:
        raise undecodable("a chunk of the WebP is too short")
    return data


def pack(name: bytes, data: bytes) -> bytes:
    """A chunk as it is written."""
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def head(width: int, height: int) -> bytes:
    """The data of a VP8X: an animation that may be transparent."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes([_HAS_ALPHA | _IS_ANIMATED, 0, 0, 0]) + size


def alone(size: bytes, parts: dict[bytes, bytes]) -> bytes:
    """One frame as a file of its own. size: as in an ANMF. parts: the data of its chunks."""
    head = bytes([_HAS_ALPHA if b"ALPH" in parts else 0, 0, 0, 0]) + size
    body = b"".join(pack(name, parts[name]) for name in (b"ALPH", *_PIXELS) if name in parts)
    body = b"WEBP" + (pack(b"VP8X", head) if b"ALPH" in parts else b"") + body
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pixels(file: BinaryIO) -> bytes:
    """The chunks of a still image that make it a frame, as they are written."""
    parts = chunks(file, 12, container_end(file))
    return b"".join(pack(part.name, read(file, part)) for part in parts if part.name in (b"ALPH", *_PIXELS))


def size_at(data: bytes, at: int) -> tuple[int, int]:
    """Width and height, 24 bits each, less one."""
    return int.from_bytes(data[at : at + 3], "little") + 1, int.from_bytes(data[at + 3 : at + 6], "little") + 1


def _survey_frame(file: BinaryIO, frame: Chunk, canvas: tuple[int, int], tally: Tally) -> None:
    head = read(file, frame, _FRAME_HEADER)
    x, y = (2 * int.from_bytes(head[at : at + 3], "little") for at in (0, 3))
    width, height = size_at(head, 6)
    tally.frame(width, height)
    if x + width > canvas[0] or y + height > canvas[1]:
        raise undecodable("a frame of the WebP does not fit into it")
    stored = [_stored_size(file, part) for part in frame_parts(file, frame) if part.name in _PIXELS]
    if stored != [(width, height)]:
        raise undecodable("a frame of the WebP is not as large as it says")


def _stored_size(file: BinaryIO, chunk: Chunk) -> tuple[int, int]:
    """By the pixels' own header: RFC 6386, section 9.1, and RFC 9649, section 3.4."""
    file.seek(chunk.start)
    head = file.read(min(chunk.length, 10))
    if chunk.name == b"VP8L" and len(head) >= 5:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk.name == b"VP8 " and len(head) == 10:
        return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:], "little") & 0x3FFF
    raise undecodable("a chunk of the WebP is too short")
