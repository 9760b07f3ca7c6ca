"""GIF: every frame's pixels are decoded and encoded anew, in their own palette, and put back where they were.

So colours, delays, disposal and loop count stay exactly what they were, and 12 megapixels take a tenth of the time
that choosing new palettes (libvips) takes; Pillow would flatten frames together.
"""

from __future__ import annotations

from PIL import Image

from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.formats.gif_blocks import TRAILER, Frame, read_blocks, read_screen
from worker.sandbox.refusal import check_frames, check_size

_OWN_PALETTE = 0x80 | 0x07  # of a frame's flags: the palette and its size, not the interlacing
_CODE_SIZE = 8  # bits: fits any palette


def reencode(source: int, target: int, limits: ImageLimits) -> Reencoded:
    """Frame by frame: no more than one is in memory."""
    with open(source, "rb", closefd=False) as file, open(target, "wb", closefd=False) as out:
        screen = read_screen(file)
        check_size(screen.width, screen.height, limits)
        out.write(screen.pack())
        frames = 0
        for block in read_blocks(file):
            if isinstance(block, Frame):
                frames += 1
                check_frames(frames, limits)
                block = _remade(block, limits)
            out.write(block.pack())
        check_frames(frames, limits)
        out.write(TRAILER)
    return Reencoded("image/gif", screen.width, screen.height, frames)


def _remade(frame: Frame, limits: ImageLimits) -> Frame:
    """Pillow's GIF codec by itself; unlike its GIF reader, it raises `ValueError` where pixels are missing."""
    size = (frame.width, frame.height)
    check_size(*size, limits)
    pixels = Image.frombytes("L", size, frame.data, "gif", (frame.code_size, frame.interlaced))
    data = pixels.tobytes("gif", "L", _CODE_SIZE, 0) + b"\x00"
    return frame._replace(flags=frame.flags & _OWN_PALETTE, code_size=_CODE_SIZE, data=data)
