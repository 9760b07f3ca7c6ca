"""Animations with every way to dispose of a frame, and TIFFs of every kind: all frames and pages must stay."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyvips
from PIL import Image

from tests import images
from tests.corpus import image_files as make
from tests.corpus.case import Case

_DELAYS = [100, 50, 70, 200]  # milliseconds


def _film(*, transparent: bool = False) -> list[Image.Image]:
    return [images.with_alpha(frame) if transparent else frame for frame in images.film(width=96, height=72)]


def _partial_film() -> list[Image.Image]:
    """Frames that differ in a small part only, which encoders store alone."""
    first = images.photo(96, 72)
    frames = [first]
    for number in range(3):
        frame = first.copy()
        frame.paste((200, 30 * number, 90), (10 + 20 * number, 12, 24 + 20 * number, 30))
        frames.append(frame)
    return frames


def _moving(extension: str, name: str, frames: Callable[[], list[Image.Image]] = _film, **options: Any) -> Case:
    def maker() -> bytes:
        return images.encode_film(frames(), extension.upper(), **{"duration": _DELAYS, "loop": 3} | options)

    return Case("animations", name, f"moving.{extension}", maker, type=f"image/{extension}")


_clear = partial(_film, transparent=True)

_GIF = (
    *(_moving("gif", f"a GIF of disposal {way}", disposal=way) for way in (0, 1, 2, 3)),
    *(_moving("gif", f"a transparent GIF of disposal {way}", _clear, disposal=way) for way in (0, 1, 2, 3)),
    _moving("gif", "a GIF of partial frames", _partial_film),
    _moving("gif", "a GIF of partial frames that plays for ever", _partial_film, loop=0),
    _moving("gif", "a GIF that is interlaced", interlace=1),
    _moving("gif", "a GIF with a comment", comment=images.MARKER),
)

_PNG = (
    *(_moving("png", f"an APNG of disposal {way}", disposal=way) for way in (0, 1, 2)),
    *(_moving("png", f"a transparent APNG of disposal {way}", _clear, disposal=way) for way in (0, 1, 2)),
    *(
        _moving("png", f"a transparent APNG that blends, of disposal {way}", _clear, disposal=way, blend=1)
        for way in (0, 1, 2)
    ),
    _moving("png", "an APNG of partial frames", _partial_film),
    _moving("png", "an APNG in Display P3", icc_profile=images.profile("p3")),
    _moving("png", "an APNG with EXIF", exif=images.exif()),
)


def _mixed_webp() -> bytes:
    """A lossy frame, then a lossless one in its middle."""
    first = make.webp_pixels(images.encode(images.photo(96, 72), "WEBP", quality=95))
    second = make.webp_pixels(images.encode(images.photo(32, 24, 1), "WEBP", lossless=True))
    frames = [make.webp_frame(96, 72, first), make.webp_frame(32, 24, second, x=20, y=10)]
    return make.riff(make.canvas(96, 72), (b"ANIM", bytes(6)), *frames)


_AVIF = (
    _moving("avif", "an AVIF that moves", quality=90, speed=10),
    _moving("avif", "a transparent AVIF that moves", _clear, quality=90, speed=10),
)

_WEBP = (
    _moving("webp", "a WebP that moves", quality=92),
    _moving("webp", "a lossless WebP that moves", lossless=True),
    _moving("webp", "a transparent WebP that moves", _clear, quality=92),
    _moving("webp", "a transparent lossless WebP that moves", _clear, lossless=True),
    _moving("webp", "a WebP of partial frames", _partial_film, quality=95),
    _moving("webp", "a lossless WebP of partial frames", _partial_film, lossless=True),
    _moving("webp", "a WebP of lossy and lossless frames", _partial_film, allow_mixed=True),
    _moving("webp", "a WebP that moves, of orientation 6", lossless=True, exif=images.exif(6)),
    _moving("webp", "a WebP that moves, in Display P3", lossless=True, icc_profile=images.profile("p3")),
    Case(
        "animations", "a WebP of a lossy frame and a small lossless one", "moving.webp", _mixed_webp, type="image/webp"
    ),
)


def _tiff(name: str, maker: Callable[[], bytes]) -> Case:
    return Case("TIFFs", name, "scan.tif", maker, type="image/tiff")


def _pages(mode: str = "RGB", **options: Any) -> Callable[[], bytes]:
    def maker() -> bytes:
        return images.encode_film([images.photo(seed=seed).convert(mode) for seed in range(3)], "TIFF", **options)

    return maker


def _saved(mode: str = "RGB", **options: Any) -> Callable[[], bytes]:
    """Through libvips, which writes what Pillow does not."""

    def maker() -> bytes:
        image = pyvips.Image.new_from_array(np.asarray(images.photo().convert(mode)))
        return bytes(image.copy(interpretation="b-w" if mode == "L" else "srgb").tiffsave_buffer(**options))

    return maker


def _numbers(kind: str, factor: float) -> Callable[[], bytes]:
    """Grey numbers of more than 8 bits."""
    return lambda: images.encode(
        Image.fromarray((np.asarray(images.photo().convert("L")).astype(float) * factor).astype(kind)), "TIFF"
    )


_TIFF = (
    *(
        _tiff(f"a TIFF of {name}", _pages(compression=name))
        for name in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg")
    ),
    *(
        _tiff(f"a fax of {name}", _pages("1", compression=name))
        for name in ("group3", "group4", "tiff_ccitt", "raw", "tiff_lzw")
    ),
    *(_tiff(f"a TIFF of mode {mode}", _pages(mode)) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK")),
    _tiff("a TIFF of 16 bits", _numbers("uint16", 257)),
    _tiff("a TIFF of floating numbers", _numbers("float32", 1.0)),
    _tiff("a TIFF of tiles", _saved(tile=True, tile_width=64, tile_height=64, compression="lzw")),
    _tiff("a TIFF with a pyramid inside its page", _saved(tile=True, pyramid=True, subifd=True)),
    _tiff("a BigTIFF", _saved(bigtiff=True, compression="deflate")),
    _tiff("a TIFF where white is zero", _saved("L", miniswhite=True)),
    _tiff("a TIFF in Display P3", _pages(icc_profile=images.profile("p3"))),
    _tiff("a TIFF with EXIF", lambda: images.encode(images.photo(), "TIFF", exif=images.exif())),
)

CASES: tuple[Case, ...] = (*_GIF, *_PNG, *_AVIF, *_WEBP, *_TIFF)
