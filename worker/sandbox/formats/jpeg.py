"""JPEG, in any colour model: grey, YCbCr, CMYK, YCCK."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap

import pyvips

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits
from worker.sandbox.formats.jpeg_segments import tidied
from worker.sandbox.output import Output

_HARMLESS = (  # libjpeg's warnings about files that decode completely all the same; cameras write such
    "extraneous bytes before marker",
    "Invalid SOS parameters",
    "unknown JFIF revision",
    "Unknown Adobe color transform",
)
_ATTEMPTS = 2  # to tidy up: what stands between segments, then what stands behind the pixels


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """libjpeg fills a gap in the middle with grey and only warns, so every warning counts; and because libvips tells
    the first only, a file with a harmless one is tried again without what caused it."""
    original: int | bytes = source
    for _ in range(_ATTEMPTS):
        try:
            return _reencode(original, output, limits)
        except pyvips.Error as error:
            if not any(harmless in str(error) for harmless in _HARMLESS):
                raise
            with mmap(source, 0, access=ACCESS_READ) as data:
                original = tidied(data, str(error))
    return _reencode(original, output, limits)


def _reencode(original: int | bytes, output: Output, limits: ImageLimits) -> Reencoded:
    image = vips.load("jpegload", original, limits, fail_on="warning")
    sharp = vips.field(image, "jpeg-chroma-subsample", "") == "4:4:4"
    return output.still(vips.normalised(image), Traits(sharp=sharp))
