"""AVIF, still images. Effort 0: the encoder's default takes ten times as long for a few percent."""

from __future__ import annotations

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.refusal import undecodable

_OPTIONS = {"compression": "av1", "Q": 60, "effort": 0}
_ANIMATED = b"avis"


def reencode(source: int, target: int, limits: ImageLimits) -> Reencoded:
    """Raises `Refusal` for an animation: libvips would keep its first frame only."""
    with open(source, "rb", closefd=False) as file:
        if file.read(12)[8:] == _ANIMATED:
            raise undecodable("it is an animated AVIF, and only still ones are accepted")
    image = vips.load("heifload", source, limits)
    bits = vips.field(image, "bits-per-sample", 8)
    image = vips.normalised(image)
    vips.save(image, "heifsave", target, bitdepth=bits, **_OPTIONS)
    return Reencoded("image/avif", image.width, image.height, frames=1)
