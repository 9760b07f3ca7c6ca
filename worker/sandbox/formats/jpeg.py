"""JPEG, in any colour model: grey, YCbCr, CMYK, YCCK."""

from __future__ import annotations

import os
from typing import Any

import pyvips

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded

QUALITY = 85

_HARMLESS = (  # libjpeg's warnings about files that decode completely all the same; cameras write such
    "extraneous bytes before marker",
    "Invalid SOS parameters",
    "unknown JFIF revision",
    "Unknown Adobe color transform",
)


def reencode(source: int, target: int, limits: ImageLimits) -> Reencoded:
    """At `fail_on="error"` libjpeg fills a gap in the middle with grey and only warns; so warnings count, but some."""
    try:
        return _reencode(source, target, limits, fail_on="warning")
    except pyvips.Error as error:
        if not any(harmless in str(error) for harmless in _HARMLESS):
            raise
    os.ftruncate(target, 0)
    os.lseek(target, 0, os.SEEK_SET)
    return _reencode(source, target, limits, fail_on="error")


def _reencode(source: int, target: int, limits: ImageLimits, *, fail_on: str) -> Reencoded:
    image = vips.load("jpegload", source, limits, fail_on=fail_on)
    sharp = vips.field(image, "jpeg-chroma-subsample", "") == "4:4:4"
    image = vips.normalised(image)
    save(image, target, sharp_colours=sharp)
    return Reencoded("image/jpeg", image.width, image.height, frames=1)


def save(image: Any, target: int, *, sharp_colours: bool) -> None:
    """Write a JPEG on white. `sharp_colours`: keep colour at full resolution, as screenshots and drawings need."""
    subsample = "off" if sharp_colours else "on"
    options = {"Q": QUALITY, "optimize_coding": True, "subsample_mode": subsample, "background": vips.WHITE}
    vips.save(image, "jpegsave", target, **options)
