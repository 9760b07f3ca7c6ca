"""Animated PNG: every frame is decoded and encoded as a PNG of its own, then put back where it was.

So frames stay exact at every bit depth, and so do their places, delays and the loop count, which neither libvips
(one frame) nor Pillow (8 bits) manage. Specification: W3C PNG, third edition, sections 4.9 and 11.3.2.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from itertools import count, takewhile
from typing import BinaryIO, NamedTuple

import pyvips

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import PNG
from worker.sandbox.formats.png_chunks import SIGNATURE, Chunk, chunks, pack
from worker.sandbox.output import Output
from worker.sandbox.refusal import check_frames, check_size, undecodable

_COLOUR = (b"PLTE", b"tRNS", b"iCCP")  # what colours the pixels of every frame are
_CONTROL = struct.Struct(">IIIIHHBB")  # the chunk fcTL after its sequence number


class _Head(NamedTuple):
    """What all frames share."""

    width: int
    height: int
    form: bytes  # bit depth, colour type, …: the rest of IHDR
    colour: bytes  # packed chunks
    frames: int
    plays: int  # 0: for ever


class _Control(NamedTuple):
    """A frame's place, time and manner."""

    width: int
    height: int
    x: int
    y: int
    delay_numerator: int
    delay_denominator: int
    disposal: int
    blending: int


class _Picture(NamedTuple):
    """Compressed pixels; without a control they are a default image that is no part of the animation."""

    control: _Control | None
    data: bytes


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """Frame by frame: no more than one is in memory."""
    with open(source, "rb", closefd=False) as file, open(output.empty(), "wb", closefd=False) as out:
        file.seek(0)  # the position is the descriptor's: whoever looked before has moved it
        head = _read_head(file, limits)
        file.seek(0)
        frames = _write(out, head, _pictures(chunks(file)))
        if frames != head.frames:
            raise undecodable(f"the animation has {frames} frames and says that it has {head.frames}")
    return output.several(head.width, head.height, frames)


def _read_head(file: BinaryIO, limits: ImageLimits) -> _Head:
    head = list(takewhile(lambda chunk: chunk.name != b"IDAT", chunks(file)))
    found = {chunk.name: chunk.data for chunk in head}
    width, height, form = struct.unpack(">II5s", found[b"IHDR"])
    frames, plays = struct.unpack(">II", found[b"acTL"])
    check_size(width, height, limits)
    check_frames(frames, limits)
    colour = b"".join(pack(*chunk) for chunk in head if chunk.name in _COLOUR)
    return _Head(width, height, form, colour, frames, plays)


def _pictures(stream: Iterator[Chunk]) -> Iterator[_Picture]:
    control: _Control | None = None
    data: list[bytes] = []
    sequence = count()
    for chunk in stream:
        if chunk.name in (b"fcTL", b"fdAT") and int.from_bytes(chunk.data[:4]) != next(sequence):
            raise undecodable("the frames of the animation are in disorder")
        if chunk.name == b"fcTL":
            if data:
                yield _Picture(control, b"".join(data))
            control, data = _Control._make(_CONTROL.unpack(chunk.data[4:])), []
        elif chunk.name == b"IDAT":
            data.append(chunk.data)
        elif chunk.name == b"fdAT":
            data.append(chunk.data[4:])
    if data:
        yield _Picture(control, b"".join(data))


def _write(out: BinaryIO, head: _Head, pictures: Iterator[_Picture]) -> int:
    """The number of frames that were written."""
    frames, sequence, form = 0, count(), b""
    for index, picture in enumerate(pictures):
        header, pixels = _remake(head, picture, first=index == 0)
        if index == 0:
            form = header[8:]
            out.write(SIGNATURE + pack(b"IHDR", header) + pack(b"acTL", struct.pack(">II", head.frames, head.plays)))
        if header[8:] != form:
            raise undecodable("the frames of the animation are of different kinds")
        if picture.control is not None:
            frames += 1
            out.write(pack(b"fcTL", struct.pack(">I", next(sequence)) + _CONTROL.pack(*picture.control)))
        out.write(pack(b"fdAT", struct.pack(">I", next(sequence)) + pixels) if index else pack(b"IDAT", pixels))
    out.write(pack(b"IEND", b""))
    return frames


def _remake(head: _Head, picture: _Picture, *, first: bool) -> tuple[bytes, bytes]:
    """IHDR and compressed pixels of one frame, anew."""
    width, height = _checked_size(head, picture.control, first=first)
    ihdr = struct.pack(">II", width, height) + head.form
    alone = pack(b"IHDR", ihdr) + head.colour + pack(b"IDAT", picture.data) + pack(b"IEND", b"")
    remade = list(chunks(io.BytesIO(_recoded(SIGNATURE + alone))))
    return remade[0].data, b"".join(chunk.data for chunk in remade if chunk.name == b"IDAT")


def _recoded(png: bytes) -> bytes:
    image = vips.to_srgb(pyvips.Image.pngload_buffer(png, access="sequential", fail_on="error"))
    return bytes(image.pngsave_buffer(keep="none", **PNG))


def _checked_size(head: _Head, control: _Control | None, *, first: bool) -> tuple[int, int]:
    if control is None:
        return head.width, head.height
    width, height, x, y = control[:4]
    whole = (width, height, x, y) == (head.width, head.height, 0, 0)
    inside = 0 < width <= head.width - x and 0 < height <= head.height - y
    if not (whole if first else inside) or control.disposal > 2 or control.blending > 1:
        raise undecodable("a frame of the animation does not fit into it")
    return width, height
