"""WebP, still or animated."""

from __future__ import annotations

from typing import BinaryIO

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.refusal import check_frames, undecodable

_LOSSLESS = {"lossless": True, "exact": True, "effort": 0, "Q": 20}  # Q: effort too, where nothing is lost
_LOSSY = {"Q": 80, "effort": 1}
_FRAME_HEADER = 16  # bytes of a frame before its own chunks


def reencode(source: int, target: int, limits: ImageLimits) -> Reencoded:
    """What was lossless stays lossless. Frames that show the same are joined by libwebp, their delays added."""
    with open(source, "rb", closefd=False) as file:
        options = _LOSSLESS if _is_lossless(file) else _LOSSY
    frames = vips.field(vips.load("webpload", source, limits), "n-pages", 1)
    check_frames(frames, limits)
    image = vips.normalised(vips.load("webpload", source, limits, n=-1))
    vips.save(image, "webpsave", target, **options)
    return Reencoded("image/webp", image.width, vips.page_height(image), frames)


def _is_lossless(file: BinaryIO) -> bool:
    """By the first chunk of pixels: `VP8L` or `VP8 `. Source: WebP container specification."""
    if file.read(4) != b"RIFF":
        raise undecodable("it does not begin like a WebP")
    file.seek(12)
    while len(header := file.read(8)) == 8:
        name, length = header[:4], int.from_bytes(header[4:], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        file.seek(_FRAME_HEADER if name == b"ANMF" else length + length % 2, 1)
    raise undecodable("the WebP holds no pixels")
