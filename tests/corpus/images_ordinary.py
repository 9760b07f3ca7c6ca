"""What people upload, in every variant of every format that there is: it must pass, and look as it did."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pillow_heif
import pyvips
from PIL import Image

from tests import images
from tests.corpus import image_files as make
from tests.corpus.case import Case

_FAMILY = "ordinary images"
_TYPES = {"jpg": "jpeg", "tif": "tiff"}
_KINDS = {
    "jpg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "webp": "WEBP",
    "avif": "AVIF",
    "heic": "HEIF",
    "tif": "TIFF",
    "bmp": "BMP",
}
_GOOD: dict[str, dict[str, Any]] = {
    "jpg": {"quality": 92},
    "webp": {"quality": 92},
    "avif": {"quality": 85, "speed": 10},
    "heic": {"quality": 90},
}
_PRIMARIES = (b"rXYZ", b"gXYZ", b"bXYZ")
_ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def _case(extension: str, name: str, maker: Callable[[], bytes]) -> Case:
    return Case(_FAMILY, name, f"ordinary.{extension}", maker, type=f"image/{_TYPES.get(extension, extension)}")


def _of(extension: str, name: str, picture: Callable[[], Image.Image] = images.photo, **options: Any) -> Case:
    def maker() -> bytes:
        return images.encode(picture(), _KINDS[extension], **_GOOD.get(extension, {}) | options)

    return _case(extension, name, maker)


def _as(mode: str) -> Callable[[], Image.Image]:
    return lambda: images.photo().convert(mode)


def _sized(width: int, height: int) -> Callable[[], Image.Image]:
    return lambda: images.photo().resize((width, height))


def _fading() -> Image.Image:
    return images.with_alpha(images.photo())


def _wide_profile() -> bytes:
    """Display P3 with the primaries of Adobe RGB, as an s15Fixed16 each (ICC.1, 10.31)."""
    profile = images.profile("p3")
    for name, primary in zip(_PRIMARIES, _ADOBE_RGB, strict=True):
        entry = profile.find(name)
        (at,) = struct.unpack_from(">I", profile, entry + 4)
        profile = make.patched(profile, at + 8, struct.pack(">3i", *(round(each * 65536) for each in primary)))
    return profile


def _ycck() -> bytes:
    """Four channels of which the first three are YCbCr: Pillow writes them as if they were CMYK."""
    grey = Image.new("L", (160, 120), 30)
    data = images.encode(Image.merge("CMYK", (*images.photo().convert("YCbCr").split(), grey)), "JPEG", quality=95)
    return make.patched(data, data.find(b"Adobe") + 11, b"\2")


def _turned(extension: str) -> Iterator[Case]:
    for orientation in range(1, 9):
        name = f"a {extension} of orientation {orientation}"
        yield _of(extension, name, exif=images.exif(orientation))


def _everywhere(extension: str) -> Iterator[Case]:
    """The smallest, with a profile, and the longest that the format holds (WebP and HEVC end before the others)."""
    yield _of(extension, f"a {extension} of one pixel", _sized(1, 1))
    longest = {"webp": 16_383, "avif": 32_768}.get(extension, 65_000)  # of AVIF, what its readers take
    if extension != "heic":  # its encoder writes nothing so thin
        yield _of(extension, f"a {extension} of 1 x {longest} pixels", _sized(1, longest))
        yield _of(extension, f"a {extension} of {longest} x 1 pixels", _sized(longest, 1))
    if extension not in ("gif", "bmp"):
        yield _of(extension, f"a {extension} in Display P3", icc_profile=images.profile("p3"))
        yield _of(extension, f"a {extension} in Adobe RGB", icc_profile=_wide_profile())


_JPEG = (
    *(_of("jpg", f"a JPEG of quality {quality}", quality=quality) for quality in (60, 92, 100)),
    *(_of("jpg", f"a JPEG of {sampling}", subsampling=sampling) for sampling in ("4:4:4", "4:2:2", "4:2:0")),
    _of("jpg", "a progressive JPEG", progressive=True),
    _of("jpg", "a grey JPEG", _as("L")),
    _of("jpg", "a CMYK JPEG", _as("CMYK")),
    _of("jpg", "a CMYK JPEG with its profile", _as("CMYK"), icc_profile=images.profile("cmyk")),
    _case("jpg", "a YCCK JPEG", _ycck),
    _of("jpg", "a JPEG with restart markers", restart_marker_rows=1),
    _of("jpg", "a JPEG with EXIF, XMP and a comment", exif=images.exif(), xmp=images.XMP, comment=images.MARKER),
)


def _deep(kind: int, bands: int) -> bytes:
    values = np.asarray(images.photo().convert("RGBA"))[..., :bands].astype(np.uint16) * 257 + 3
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return images.png(160, 120, depth=16, kind=kind, rows=rows)


def _few_greys(depth: int) -> bytes:
    values = np.asarray(images.photo().convert("L")) >> 8 - depth
    bits = np.unpackbits(values[..., None].astype(np.uint8), axis=-1)[..., 8 - depth :].reshape(120, -1)
    return images.png(160, 120, depth=depth, kind=0, rows=b"".join(b"\0" + np.packbits(row).tobytes() for row in bits))


def _one_transparent(kind: int, colour: bytes) -> bytes:
    bands = 1 if kind == 0 else 3
    values = np.asarray(images.photo())[..., :bands]
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return images.png(160, 120, depth=8, kind=kind, rows=rows, extra=[(b"tRNS", colour)])


def _interlaced(mode: str) -> bytes:
    pixels = np.asarray(images.photo().convert(mode))
    image = pyvips.Image.new_from_array(pixels)
    return bytes(image.copy(interpretation="b-w" if mode == "L" else "srgb").pngsave_buffer(interlace=True))


_PNG = (
    *(_of("png", f"a PNG of mode {mode}", _as(mode)) for mode in ("1", "L", "P", "RGB")),
    _of("png", "a PNG with alpha", _fading),
    _of("png", "a grey PNG with alpha", lambda: _fading().convert("LA")),
    _of("png", "a PNG with a palette that fades", lambda: _fading().quantize()),
    *(_case("png", f"a PNG of {depth} bits of grey", partial(_few_greys, depth)) for depth in (1, 2, 4)),
    *(
        _of("png", f"a PNG with a palette of {bits} bits", lambda: images.photo().quantize(4), bits=bits)
        for bits in (2, 4)
    ),
    _case("png", "a PNG of 16 bits", partial(_deep, 2, 3)),
    _case("png", "a PNG of 16 bits with alpha", partial(_deep, 6, 4)),
    _case("png", "a PNG of 16 bits of grey", partial(_deep, 0, 1)),
    _case("png", "a grey PNG with one transparent shade", partial(_one_transparent, 0, b"\0\x50")),
    _case("png", "a PNG with one transparent colour", partial(_one_transparent, 2, b"\0\x50\0\x50\0\x50")),
    _case("png", "an interlaced PNG", partial(_interlaced, "RGB")),
    _case("png", "an interlaced grey PNG", partial(_interlaced, "L")),
)

_BMP = tuple(_of("bmp", f"a BMP of mode {mode}", _as(mode)) for mode in ("1", "L", "P", "RGB", "RGBA"))

_WEBP = (
    _of("webp", "a WebP"),
    _of("webp", "a lossless WebP", lossless=True),
    _of("webp", "a WebP with alpha", _fading),
    _of("webp", "a lossless WebP with alpha", _fading, lossless=True),
    _of("webp", "a WebP with EXIF and XMP", exif=images.exif(), xmp=images.XMP),
)


def _deep_avif(bits: int) -> bytes:
    image = pyvips.Image.new_from_array(np.asarray(images.photo()).astype(np.uint16) * 257)
    options = {"compression": "av1", "bitdepth": bits, "Q": 85, "effort": 0}
    return bytes(image.copy(interpretation="rgb16").heifsave_buffer(**options))


_AVIF = (
    _of("avif", "an AVIF"),
    _of("avif", "an AVIF with alpha", _fading),
    _of("avif", "a grey AVIF", _as("L")),
    *(_of("avif", f"an AVIF of {sampling}", subsampling=sampling) for sampling in ("4:4:4", "4:2:2", "4:0:0")),
    *(_case("avif", f"an AVIF of {bits} bits", partial(_deep_avif, bits)) for bits in (10, 12)),
    _of("avif", "an AVIF with EXIF and XMP", exif=images.exif(), xmp=images.XMP),
)


def _deep_heic() -> bytes:
    pixels = np.asarray(images.photo()).astype(np.uint16) * 257
    deep = pillow_heif.from_bytes("RGB;16", (160, 120), pixels.tobytes())
    file = io.BytesIO()
    deep.save(file, quality=90)
    return file.getvalue()


def _burst() -> bytes:
    return images.encode_film([images.photo(), images.photo(seed=1), images.photo(seed=2)], "HEIF", quality=90)


_HEIC = (
    _of("heic", "a HEIC"),
    _of("heic", "a HEIC with alpha", _fading),
    _of("heic", "a grey HEIC", _as("L")),
    _of("heic", "a HEIC with EXIF and XMP", exif=images.exif(), xmp=images.XMP),
    _case("heic", "a HEIC of 10 bits", _deep_heic),
    _case("heic", "a HEIC of three images", _burst),
)

CASES: tuple[Case, ...] = (
    *(*_JPEG, *_PNG, *_BMP, *_WEBP, *_AVIF, *_HEIC),
    *(case for extension in ("jpg", "png", "webp", "avif", "heic", "tif") for case in _turned(extension)),
    *(case for extension in _KINDS for case in _everywhere(extension)),
)
