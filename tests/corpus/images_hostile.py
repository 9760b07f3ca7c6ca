"""Small files that promise much: refused by what their headers say, before anything is decoded.

TIFF, HEIF and AVIF, whose headers may lie anywhere in the file, are in `images_hostile_containers`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests import images
from tests.corpus import image_files as make
from tests.corpus.case import Case
from tests.corpus.image_files import MIB
from worker.scan import ReasonCode, Status

_FAMILY = "image bombs"
_SECONDS = 1.0
_LARGE, _MANY, _BROKEN = ReasonCode.IMAGE_TOO_LARGE, ReasonCode.IMAGE_TOO_MANY_FRAMES, ReasonCode.IMAGE_UNDECODABLE
_HUGE = 2**31 - 1


def _bomb(
    filename: str, name: str, maker: Callable[[], bytes], code: ReasonCode, seconds: float | None = _SECONDS
) -> Case:
    return Case(_FAMILY, name, filename, maker, Status.REJECTED, frozenset({code}), seconds=seconds)


def _png(name: str, maker: Callable[[], bytes], code: ReasonCode = _LARGE) -> Case:
    return _bomb("bomb.png", name, maker, code)


def _claim(width: int, height: int) -> Callable[[], bytes]:
    return lambda: make.png_of(make.header(width, height, depth=1), make.pixels(bytes(20_000_000)))


def _apng_claiming(frames: int) -> bytes:
    return make.png_of(make.header(), make.animation(frames), make.control(0), make.pixels())


_PNG = (
    _png("a PNG of 20 KB and 50,000 x 50,000 pixels", _claim(50_000, 50_000)),
    _png("a PNG of 2,147,483,647 x 2,147,483,647 pixels", _claim(_HUGE, _HUGE)),
    _png("a PNG of 4,294,967,295 x 1 pixels", _claim(2**32 - 1, 1)),
    _png("a PNG of 10,001 x 10,000 pixels", _claim(10_001, 10_000)),
    _png("a PNG of 1 x 65,536 pixels", lambda: images.png(1, 65_536, depth=1, kind=0, rows=b"\0\xff" * 65_536)),
    _png("a PNG with 4 GiB of text in zTXt", lambda: make.png_with((b"zTXt", b"a\0\0" + make.inflating(4096 * MIB)))),
    _png(
        "a PNG with 4 GiB of text in iTXt",
        lambda: make.png_with((b"iTXt", b"a\0\1\0\0\0" + make.inflating(4096 * MIB))),
    ),
    _png("a PNG with a profile of 1 GiB", lambda: make.png_with((b"iCCP", b"a\0\0" + make.inflating(1024 * MIB)))),
    _png("a PNG with a profile of 16 MiB", lambda: make.png_with((b"iCCP", b"a\0\0" + make.inflating(16 * MIB)))),
    _png(
        "a PNG with 16 MiB of text, 500 times",
        lambda: make.png_with(*[(b"zTXt", b"a\0\0" + make.inflating(16 * MIB))] * 500),
    ),
    _png("an APNG that says it has 4,294,967,295 frames", lambda: _apng_claiming(2**32 - 1), _MANY),
    _png("an APNG that says it has 1,001 frames", lambda: _apng_claiming(1001), _MANY),
    _png("an APNG of 20,000 frames", lambda: make.apng(20_000, 8, 8), _MANY),
    _png("an APNG of 400 frames of 8,000 x 1,000 pixels", lambda: make.apng(400, 8000, 1000)),
    _png(
        "an APNG with a frame of 60,000 x 60,000 pixels",
        lambda: make.png_of(
            make.header(),
            make.animation(2),
            make.control(0),
            make.pixels(),
            make.control(1, 60_000, 60_000),
            make.more_pixels(2),
        ),
    ),
)


def _jpeg(name: str, maker: Callable[[], bytes], code: ReasonCode = _LARGE) -> Case:
    return _bomb("bomb.jpg", name, maker, code)


def _profile_in_jpeg(size: int) -> bytes:
    piece = 60_000
    count = size // piece
    return make.jpeg_with(
        *[(0xE2, b"ICC_PROFILE\0" + bytes([number + 1, count]) + bytes(piece)) for number in range(count)]
    )


_JPEG = (
    _jpeg("a JPEG of 65,500 x 65,500 pixels", lambda: make.jpeg_claiming(65_500, 65_500)),
    _jpeg("a progressive JPEG of 65,500 x 65,500 pixels", lambda: make.jpeg_claiming(65_500, 65_500, progressive=True)),
    _jpeg("a progressive JPEG of 30,000 x 30,000 pixels", images.greedy),
    _jpeg("a JPEG with 10,000 scans", lambda: make.jpeg_of_scans(10_000), _BROKEN),
    _jpeg(
        "a JPEG of 4,000 x 4,000 pixels with 10,000 scans",
        lambda: make.jpeg_of_scans(10_000, 4_000, 4_000),
        _BROKEN,
    ),
    _jpeg("a JPEG with 101 scans", lambda: make.jpeg_of_scans(101), _BROKEN),
    _jpeg("a JPEG of 4,000 x 4,000 pixels with 90 scans", lambda: make.jpeg_of_scans(90, 4_000, 4_000), _BROKEN),
    _jpeg("a JPEG with a profile of 5 MiB", lambda: _profile_in_jpeg(5 * MIB)),
    _jpeg(
        "a JPEG of two frames, a small one first",
        lambda: make.jpeg_with((0xC0, b"\x08\x00\x08\x00\x08\x01\x01\x11\x00")),
        _BROKEN,
    ),
    _jpeg(
        "a JPEG of five million empty segments",
        lambda: make.jpeg_with(base=b"\xff\xd8" + b"\xff\xfe\0\2" * 5_000_000),
        _BROKEN,
    ),
)


def _gif(name: str, maker: Callable[[], bytes], code: ReasonCode = _LARGE) -> Case:
    return _bomb("bomb.gif", name, maker, code)


_GIF = (
    _gif("a GIF of 100,000 frames", lambda: make.gif(1, 1, make.gif_frame() * 100_000), _MANY),
    _gif("a GIF of 1,001 frames", lambda: make.gif(1, 1, make.gif_frame() * 1001), _MANY),
    _gif("a GIF of 65,535 x 65,535 pixels", lambda: make.gif(65_535, 65_535, make.gif_frame())),
    _gif("a GIF with a frame of 65,535 x 65,535 pixels", lambda: make.gif(8, 8, make.gif_frame(0, 0, 65_535, 65_535))),
    _gif(
        "a GIF with a frame that is wider than its canvas", lambda: make.gif(8, 8, make.gif_frame(0, 0, 9, 8)), _BROKEN
    ),
    _gif(
        "a GIF with a frame that begins beyond its canvas", lambda: make.gif(8, 8, make.gif_frame(60_000, 8)), _BROKEN
    ),
    _gif(
        "a GIF with a late frame below its canvas",
        lambda: make.gif(8, 8, *[make.gif_frame()] * 50, make.gif_frame(0, 7, 1, 2)),
        _BROKEN,
    ),
    _gif(
        "a GIF of 900 frames of 2,000 x 1,000 pixels",
        lambda: make.gif(2000, 1000, make.gif_frame(0, 0, 2000, 1000) * 900),
    ),
    _gif(
        "a GIF of five million pieces",
        lambda: make.gif_screen(1, 1) + b"\x21\xfe" + b"\x01a" * 5_000_000 + b"\0;",
        _BROKEN,
    ),
)


def _webp(name: str, maker: Callable[[], bytes], code: ReasonCode = _LARGE) -> Case:
    return _bomb("bomb.webp", name, maker, code)


def _blinking_webp(frames: int, width: int, height: int) -> bytes:
    parts = [make.webp_frame(width, height, make.lossless(width, height))] * frames
    return make.riff(make.canvas(width, height), (b"ANIM", bytes(6)), *parts)


_WEBP = (
    _webp("a WebP of 16,383 x 16,383 pixels with nothing behind", lambda: make.riff(make.lossy(16_383, 16_383))),
    _webp("a lossless WebP of 16,384 x 16,384 pixels", lambda: make.riff(make.lossless(16_384, 16_384))),
    _webp(
        "a WebP on a canvas of 16,777,216 x 256 pixels",
        lambda: make.riff(make.canvas(1 << 24, 256), (b"ANIM", bytes(6))),
    ),
    _webp("an animated WebP of 5,000 frames", lambda: _blinking_webp(5000, 8, 8), _MANY),
    _webp("an animated WebP of 400 frames of 4,000 x 2,000 pixels", lambda: _blinking_webp(400, 4000, 2000)),
    _webp(
        "a WebP with a frame beyond its canvas",
        lambda: make.riff(make.canvas(8, 8), (b"ANIM", bytes(6)), make.webp_frame(8, 8, make.lossless(8, 8), x=2)),
        _BROKEN,
    ),
    _webp(
        "a WebP with a frame whose pixels are 1,000 times as many",
        lambda: make.riff(make.canvas(8, 8), (b"ANIM", bytes(6)), make.webp_frame(8, 8, make.lossless(256, 250))),
        _BROKEN,
    ),
    _webp(
        "a WebP with a profile of 5 MiB",
        lambda: make.riff(make.canvas(8, 8, 0x20), (b"ICCP", bytes(5 * MIB)), make.lossless(8, 8)),
    ),
    _webp(
        "a WebP whose canvas is smaller than its pixels",
        lambda: make.riff(make.canvas(8, 8, 0), make.webp_pixels(make.plain("WEBP"))),
        _BROKEN,
    ),
)


def _bmp(name: str, maker: Callable[[], bytes], code: ReasonCode = _LARGE) -> Case:
    return _bomb("bomb.bmp", name, maker, code)


_BMP = (
    _bmp("a BMP of 30,000 x 30,000 pixels", lambda: make.bmp(30_000, 30_000)),
    _bmp("a BMP of 8 x -2,147,483,648 pixels", lambda: make.bmp(8, -(2**31), body=bytes(1000))),
    _bmp("a BMP of -8 x 8 pixels", lambda: make.bmp(-8, 8, body=bytes(1000)), _BROKEN),
    _bmp("a BMP of 2,147,483,647 x 2,147,483,647 pixels", lambda: make.bmp(_HUGE, _HUGE)),
    _bmp(
        "a BMP of run lengths, 20,000 x 20,000 pixels",
        lambda: make.bmp(20_000, 20_000, depth=8, compression=1, body=b"\0\1"),
    ),
    _bmp(
        "a BMP of run lengths, 9,000 x 9,000 pixels that are missing",
        lambda: make.bmp(9000, 9000, depth=8, compression=1, body=b"\0\1"),
        _BROKEN,
    ),
    _bmp(
        "an old BMP of 65,535 x 65,535 pixels",
        lambda: (
            b"BM" + struct.pack("<IHHI", 26, 0, 0, 26) + struct.pack("<IHHHH", 12, 65_535, 65_535, 1, 24) + bytes(100)
        ),
    ),
)

CASES: tuple[Case, ...] = (*_PNG, *_JPEG, *_GIF, *_WEBP, *_BMP)
