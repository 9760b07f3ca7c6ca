"""Animated PNG: every frame is decoded and encoded as a PNG of its own, then put back where it was.

So frames stay exact at every bit depth, and so do their places, delays and the loop count, which neither libvips
(one frame) nor Pillow (8 bits) manage. Specification: W3C PNG, third edition, sections 4.9 and 11.3.2.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from itertools import count, takewhile
from typing import Any, BinaryIO, NamedTuple

import pyvips
from PIL.PngImagePlugin import PngImageFile

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import PNG
from worker.sandbox.formats.apng_writer import Control, Writer
from worker.sandbox.formats.png_chunks import SIGNATURE, Chunk, chunks, pack
from worker.sandbox.output import Output
from worker.sandbox.refusal import check_frames, check_size, undecodable

_COLOUR = (b"PLTE", b"tRNS", b"iCCP")  # what colours the pixels of every frame are


class _Head(NamedTuple):
    """What all frames share."""

    width: int
    height: int
    form: bytes  # bit depth, colour type, …: the rest of IHDR
    colour: bytes  # packed chunks
    frames: int
    plays: int  # 0: for ever


class _Picture(NamedTuple):
    """Compressed pixels; without a control they are a default image that is no part of the animation."""

    control: Control | None
    data: bytes


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """Frame by frame: no more than one is in memory, unless they are to be scaled down."""
    with open(source, "rb", closefd=False) as file, open(output.empty(), "wb", closefd=False) as out:
        file.seek(0)  # the position is the descriptor's: whoever looked before has moved it
        head = _read_head(file, limits)
        file.seek(0)
        frames = _write(out, head, _pictures(chunks(file)))
        if frames != head.frames:
            raise undecodable(f"the animation has {frames} frames and says that it has {head.frames}")
    if output.fits(head.width, head.height):
        return output.several(head.width, head.height, frames)
    return _scaled(output, head)


def _scaled(output: Output, head: _Head) -> Reencoded:
    """From what has been written: Pillow lays its frames over each other, and each becomes a whole one."""
    original = output.read_back()
    controls = [Control.unpack(chunk.data) for chunk in chunks(io.BytesIO(original)) if chunk.name == b"fcTL"]
    with PngImageFile(io.BytesIO(original)) as film, open(output.empty(), "wb", closefd=False) as out:
        writer = Writer(out, head.frames, head.plays)
        defaults = [None] * (film.n_frames - len(controls))  # one image that is no part of the animation, or none
        for number, control in enumerate([*defaults, *controls]):
            film.seek(number)
            image = output.fitted(vips.from_pillow(film.convert("RGBA")))
            whole = control and control._replace(
                width=image.width, height=image.height, x=0, y=0, disposal=0, blending=0
            )
            writer.add(whole, *encoded(image))
        writer.finish()
    return output.several(image.width, image.height, writer.frames)


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
    control: Control | None = None
    data: list[bytes] = []
    sequence = count()
    for chunk in stream:
        if chunk.name in (b"fcTL", b"fdAT") and int.from_bytes(chunk.data[:4]) != next(sequence):
            raise undecodable("the frames of the animation are in disorder")
        if chunk.name == b"fcTL":
            if data:
                yield _Picture(control, b"".join(data))
            control, data = Control.unpack(chunk.data), []
        elif chunk.name == b"IDAT":
            data.append(chunk.data)
        elif chunk.name == b"fdAT":
            data.append(chunk.data[4:])
    if data:
        yield _Picture(control, b"".join(data))


def _write(out: BinaryIO, head: _Head, pictures: Iterator[_Picture]) -> int:
    """The number of frames that were written."""
    writer = Writer(out, head.frames, head.plays)
    for index, picture in enumerate(pictures):
        width, height = _checked_size(head, picture.control, first=index == 0)
        alone = struct.pack(">II", width, height) + head.form
        png = pack(b"IHDR", alone) + head.colour + pack(b"IDAT", picture.data) + pack(b"IEND", b"")
        image = pyvips.Image.pngload_buffer(SIGNATURE + png, access="sequential", fail_on="error")
        writer.add(picture.control, *encoded(vips.to_srgb(image)))
    writer.finish()
    return writer.frames


def encoded(image: Any) -> tuple[bytes, bytes]:
    """IHDR and compressed pixels of one frame."""
    parts = list(chunks(io.BytesIO(image.pngsave_buffer(keep="none", **PNG))))
    return parts[0].data, b"".join(part.data for part in parts if part.name == b"IDAT")


def _checked_size(head: _Head, control: Control | None, *, first: bool) -> tuple[int, int]:
    if control is None:
        return head.width, head.height
    width, height, x, y = control[:4]
    whole = (width, height, x, y) == (head.width, head.height, 0, 0)
    inside = 0 < width <= head.width - x and 0 < height <= head.height - y
    if not (whole if first else inside) or control.disposal > 2 or control.blending > 1:
        raise undecodable("a frame of the animation does not fit into it")
    return width, height
