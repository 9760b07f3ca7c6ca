"""HEIC and HEIF to JPEG, through pillow-heif: the libvips wheel reads AVIF, but not HEIC.

libheif turns the image upright by itself, and its EXIF orientation is not to be applied again.
"""

from __future__ import annotations

from typing import Any

import pillow_heif

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.output import Output
from worker.sandbox.refusal import check_size

for _part in ("THUMBNAILS", "DEPTH_IMAGES", "AUX_IMAGES"):
    setattr(pillow_heif.options, _part, False)  # never looked at


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """The primary image; bursts, depth maps and thumbnails are left behind. The whole image is in memory."""
    with open(source, "rb", closefd=False) as file:
        file.seek(0)
        primary = pillow_heif.open_heif(file, convert_hdr_to_8bit=True)
        width, height = primary.size
        check_size(width, height, limits)
        image = vips.from_pillow(primary.to_pillow())
        if output.kept:
            _decode_others(primary, limits)
    profile, nclx = primary.info.get("icc_profile"), primary.info.get("nclx_profile")
    if profile:
        vips.attach_profile(image, profile)
    elif nclx:
        vips.attach_code(image, (nclx["color_primaries"], nclx["transfer_characteristics"]))
    return output.still(vips.to_srgb(image))


def _decode_others(file: Any, limits: ImageLimits) -> None:
    """Where the original is kept, all of its images must be sound."""
    for number, image in enumerate(file):
        if number != file.primary_index:
            width, height = image.size
            check_size(width, height, limits)
            image.to_pillow()
