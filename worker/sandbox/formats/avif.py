"""AVIF, still images."""

from __future__ import annotations

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits
from worker.sandbox.formats import heif_items
from worker.sandbox.output import Output
from worker.sandbox.refusal import undecodable

_ANIMATED = b"avis"


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """Raises `Refusal` for an animation: libvips would keep its first frame only."""
    with open(source, "rb", closefd=False) as file:
        file.seek(0)
        if file.read(12)[8:] == _ANIMATED:
            raise undecodable("it is an animated AVIF, and only still ones are accepted")
        code = heif_items.colour_code(file)
    image = vips.load("heifload", source, limits)
    if not vips.has_profile(image):
        vips.attach_code(image, code)
    bits = vips.field(image, "bits-per-sample", 8)
    return output.still(vips.normalised(image), Traits(bits=bits))
