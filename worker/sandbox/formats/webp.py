"""WebP, still or animated.

Every frame of an animation is decoded and encoded as a WebP of its own, then put back where it was: so places, delays,
disposal and the number of frames stay what they were, which libwebp's own animation encoder does not manage (it joins
frames that show the same). Only an animation that has to be turned or scaled down goes through that.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import pyvips

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits, webp_options
from worker.sandbox.formats import webp_chunks
from worker.sandbox.formats.webp_chunks import Chunk, pack
from worker.sandbox.output import Output

_FRAME_HEADER = 16  # bytes


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """What was lossless stays lossless."""
    with open(source, "rb", closefd=False) as file:
        parts = list(webp_chunks.chunks(file, 12, webp_chunks.container_end(file)))
        first = vips.load("webpload", source, limits)
        if not any(part.name == b"ANMF" for part in parts) or vips.field(first, "n-pages", 1) == 1:
            lossless = any(part.name == b"VP8L" for part in parts)
            return output.still(vips.normalised(first), Traits(lossless=lossless))
        upright = vips.field(first, "orientation", 1) == 1
        if upright and output.fits(first.width, first.height):
            return _Animation(file, parts, first).reencode(output)
        traits = Traits(lossless=_is_lossless(file, parts))
    film = output.fitted(vips.normalised(vips.load("webpload", source, limits, n=-1)))
    frames = vips.field(film, "n-pages", 1)
    vips.save(film, "webpsave", output.empty(), **webp_options(traits, output.quality))
    return output.several(film.width, vips.page_height(film), frames)


class _Animation:
    """One animated file, frame by frame: no more than one is in memory."""

    def __init__(self, file: BinaryIO, parts: list[Chunk], first: Any) -> None:
        self._file, self._parts, self._size = file, parts, (first.width, first.height)
        profiles = [webp_chunks.read(file, part) for part in parts if part.name == b"ICCP"]
        self._profile = profiles[0] if profiles else None

    def reencode(self, output: Output) -> Reencoded:
        frames = 0
        with open(output.empty(), "wb", closefd=False) as out:
            out.write(b"RIFF" + bytes(4) + b"WEBP" + pack(b"VP8X", webp_chunks.head(*self._size)))
            for part in self._parts:
                if part.name == b"ANIM":
                    out.write(pack(b"ANIM", webp_chunks.read(self._file, part, 6)[:6]))
                elif part.name == b"ANMF":
                    frames += 1
                    out.write(pack(b"ANMF", self._remade(part, output.quality)))
            length = out.tell() - 8
            out.seek(4)
            out.write(length.to_bytes(4, "little"))
        return output.several(*self._size, frames)

    def _remade(self, frame: Chunk, quality: int | None) -> bytes:
        """Place, delay and manner stay; the pixels are made anew."""
        place = webp_chunks.read(self._file, frame)[:_FRAME_HEADER]
        parts = {part.name: webp_chunks.read(self._file, part) for part in webp_chunks.frame_parts(self._file, frame)}
        alone = webp_chunks.alone(place[6:12], parts)
        image = pyvips.Image.webpload_buffer(alone, fail_on="error")
        if self._profile:
            vips.attach_profile(image, self._profile)
        options = webp_options(Traits(lossless=b"VP8L" in parts), quality)
        remade = bytes(vips.to_srgb(image).webpsave_buffer(keep="none", **options))
        return place + webp_chunks.pixels(io.BytesIO(remade))


def _is_lossless(file: BinaryIO, parts: list[Chunk]) -> bool:
    """By the first frame."""
    frames = [part for part in parts if part.name == b"ANMF"]
    return any(part.name == b"VP8L" for part in webp_chunks.frame_parts(file, frames[0]))
