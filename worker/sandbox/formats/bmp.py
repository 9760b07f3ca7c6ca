"""BMP to PNG, through Pillow: the libvips wheel reads no BMP."""

from __future__ import annotations

from PIL.BmpImagePlugin import BmpImageFile

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits
from worker.sandbox.output import Output
from worker.sandbox.refusal import check_size


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """Exact. The whole image is in memory once decoded."""
    with open(source, "rb", closefd=False) as file, BmpImageFile(file) as bitmap:
        check_size(*bitmap.size, limits)
        image = vips.from_pillow(bitmap)
    return output.still(image, Traits(lossless=True))
