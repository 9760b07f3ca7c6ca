"""AVIF, still or animated."""

from __future__ import annotations

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits
from worker.sandbox.formats import avif_sequence, heif_items
from worker.sandbox.output import Output


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """libvips would keep the first frame only of an animation."""
    with open(source, "rb", closefd=False) as file:
        code = heif_items.colour_code(file)
        if heif_items.is_sequence(file):
            return avif_sequence.reencode(file, code, output)
    image = vips.load("heifload", source, limits)
    if not vips.has_profile(image):
        vips.attach_code(image, code)
    bits = vips.field(image, "bits-per-sample", 8)
    return output.still(vips.normalised(image), Traits(bits=bits))
