"""PNG: exact, but for colours that a profile converts."""

from __future__ import annotations

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits
from worker.sandbox.formats import apng, png_chunks
from worker.sandbox.output import Output


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """libvips sees one frame of an animation: look at the chunks first."""
    with open(source, "rb", closefd=False) as file:
        file.seek(0)
        if png_chunks.is_animated(file):
            return apng.reencode(source, output, limits)
        file.seek(0)
        code = png_chunks.colour_code(file)
    image = vips.load("pngload", source, limits)
    vips.attach_code(image, code)
    return output.still(vips.normalised(image), Traits(lossless=True))
