"""PNG: exact, but for colours that a profile converts."""

from __future__ import annotations

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.formats import apng, png_chunks


def reencode(source: int, target: int, limits: ImageLimits) -> Reencoded:
    """libvips sees one frame of an animation, and takes a file without its end: look at the chunks first."""
    with open(source, "rb", closefd=False) as file:
        if png_chunks.is_animated(file):
            return apng.reencode(source, target, limits)
    image = vips.normalised(vips.load("pngload", source, limits))
    vips.save(image, "pngsave", target, **vips.PNG_OPTIONS)
    return Reencoded("image/png", image.width, image.height, frames=1)
