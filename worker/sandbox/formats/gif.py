"""GIF: every frame's pixels are decoded and encoded anew, in their own palette, and put back where they were.

So colours, delays, disposal and loop count stay exactly what they were, and 12 megapixels take a tenth of the time
that choosing new palettes (libvips) takes; Pillow would flatten frames together.
"""

from __future__ import annotations

from PIL import Image

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits
from worker.sandbox.formats.gif_blocks import TRAILER, Frame, Screen, read_blocks, read_screen
from worker.sandbox.output import Output

_OWN_PALETTE = 0x80 | 0x07  # of a frame's flags: the palette and its size, not the interlacing
_CODE_SIZE = 8  # bits: fits any palette


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """Frame by frame: no more than one is in memory, unless the image is to be scaled down, or becomes another type."""
    screen, frames = _rewrite(source, output)
    if frames == 1 and output.converts:
        written = output.read_back()  # held for as long as libvips reads it
        return output.still(vips.load("gifload", written, limits), Traits(lossless=True))
    if not output.fits(screen.width, screen.height):
        written = output.read_back()
        film = output.fitted(vips.load("gifload", written, limits, n=-1))
        vips.save(film, "gifsave", output.empty())
        return output.several(film.width, vips.page_height(film), frames)
    return output.several(screen.width, screen.height, frames)


def _rewrite(source: int, output: Output) -> tuple[Screen, int]:
    """And the number of frames."""
    with open(source, "rb", closefd=False) as file, open(output.empty(), "wb", closefd=False) as out:
        file.seek(0)
        screen = read_screen(file)
        out.write(screen.pack())
        frames = 0
        for block in read_blocks(file):
            if isinstance(block, Frame):
                frames += 1
                block = _remade(block)
            out.write(block.pack())
        out.write(TRAILER)
    return screen, frames


def _remade(frame: Frame) -> Frame:
    """Pillow's GIF codec by itself; unlike its GIF reader, it raises `ValueError` where pixels are missing."""
    size = (frame.width, frame.height)
    pixels = Image.frombytes("L", size, frame.data, "gif", (frame.code_size, frame.interlaced))
    data = pixels.tobytes("gif", "L", _CODE_SIZE, 0) + b"\x00"
    return frame._replace(flags=frame.flags & _OWN_PALETTE, code_size=_CODE_SIZE, data=data)
