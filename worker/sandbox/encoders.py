"""How an image is written, by its media type: the settings of every encoder stand here. Runs in the child."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from PIL import AvifImagePlugin, Image  # the plugin registers itself: nothing is looked up later

from worker.sandbox import vips
from worker.sandbox.formats import png_chunks

PNG = {"compression": 6, "filter": "sub"}  # all filters: 5 % smaller, half as slow again
_JPEG_QUALITY, _WEBP_QUALITY, _AVIF_QUALITY = 85, 80, 60
_WEBP_LOSSLESS = {"lossless": True, "exact": True, "effort": 0, "Q": 20}  # Q: effort too, where nothing is lost
_WHITE = 255  # what shows through where a format has no transparency
_LARGEST_AVIF = 16_384  # pixels to a side that libvips writes; AVIF itself holds 65,536
LONG_AVIF = {"quality": _AVIF_QUALITY, "speed": 10, "max_threads": 1}  # the fastest; the bytes depend on the threads
"""For Pillow's encoder, which writes what libvips does not: AVIF that is longer, or moves. At 8 bits, in memory."""


class Traits(NamedTuple):
    """What an encoder should know about the original."""

    lossless: bool = False
    sharp: bool = False  # colour at full resolution, as screenshots and drawings need
    bits: int = 8  # of one colour


LARGEST_SIDE: Mapping[str, int] = {"image/jpeg": 65_500, "image/webp": 16_383, "image/avif": 65_536}
"""Pixels; of the formats that have such a limit. libjpeg stops short of what the format could hold."""


def jpeg(image: Any, target: int, traits: Traits, quality: int | None) -> None:
    """On white where it is transparent."""
    subsample = "off" if traits.sharp or traits.lossless else "on"
    options = {"Q": quality or _JPEG_QUALITY, "optimize_coding": True, "subsample_mode": subsample}
    vips.save(image, "jpegsave", target, background=_WHITE, **options)


def png(image: Any, target: int, _traits: Traits, _quality: int | None) -> None:
    """Exact. libvips always writes how large a pixel is on paper, which a PNG need not say."""
    vips.save(image, "pngsave", target, **PNG)
    with open(target, "r+b", closefd=False) as file:
        file.seek(0)
        png_chunks.drop(file, b"pHYs")


def webp_options(traits: Traits, quality: int | None) -> dict[str, Any]:
    """What was lossless stays lossless, unless a quality is asked for."""
    return _WEBP_LOSSLESS if traits.lossless and quality is None else {"Q": quality or _WEBP_QUALITY, "effort": 1}


def webp(image: Any, target: int, traits: Traits, quality: int | None) -> None:
    """Lossless or not."""
    vips.save(image, "webpsave", target, **webp_options(traits, quality))


def avif(image: Any, target: int, traits: Traits, quality: int | None) -> None:
    """Effort 0: the encoder's default takes ten times as long for a few percent."""
    if max(image.width, image.height) > _LARGEST_AVIF:
        _long_avif(image, target, quality or _AVIF_QUALITY)
        return
    options = {"compression": "av1", "Q": quality or _AVIF_QUALITY, "effort": 0, "bitdepth": traits.bits}
    vips.save(image, "heifsave", target, **options)


def tiff_options(page: Any) -> dict[str, Any]:
    """Lossless, at the page's own depth: fax pages stay at one bit, 16 bits stay 16."""
    two_colours = page.bands == 1 and vips.field(page, "bits-per-sample", 8) == 1
    if two_colours or page.format not in ("uchar", "ushort"):
        return {"compression": "deflate", "predictor": "none", "bitdepth": 1 if two_colours else 0}
    return {"compression": "deflate", "predictor": "horizontal"}


def tiff(image: Any, target: int, _traits: Traits, _quality: int | None) -> None:
    """Exact."""
    vips.save(image, "tiffsave", target, **tiff_options(image))


ENCODERS: Mapping[str, Callable[[Any, int, Traits, int | None], None]] = {
    "image/jpeg": jpeg,
    "image/png": png,
    "image/webp": webp,
    "image/avif": avif,
    "image/tiff": tiff,
}


def to_pillow(image: Any) -> Image.Image:
    """The same image in memory, at 8 bits."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.bands]
    return Image.frombytes(mode, (image.width, image.height), image.cast("uchar", shift=True).write_to_memory())


def _long_avif(image: Any, target: int, quality: int) -> None:
    with open(target, "w+b", closefd=False) as out:
        to_pillow(image).save(out, AvifImagePlugin.AvifImageFile.format, **LONG_AVIF | {"quality": quality})
