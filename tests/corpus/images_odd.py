"""Images that are strange, and yet whole: what cameras, phones and old programs write must pass, and lose the rest."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import partial

from tests import images
from tests.corpus import image_containers as containers
from tests.corpus import image_files as make
from tests.corpus.case import Case

_FAMILY = "odd images"
_MARKER = images.MARKER
_RUBBISH = _MARKER * 1000
_MIB = make.MIB


def _odd(extension: str, name: str, maker: Callable[[], bytes]) -> Case:
    return Case(_FAMILY, name, f"odd.{extension}", maker)


def _trailing(extension: str, name: str, kind: str, **options: object) -> Case:
    return _odd(extension, f"{name} with other bytes behind its end", lambda: make.plain(kind, **options) + _RUBBISH)


_TRAILING = (
    _trailing("jpg", "a JPEG", "JPEG"),
    _trailing("png", "a PNG", "PNG"),
    _trailing("gif", "a GIF", "GIF"),
    _trailing("webp", "a WebP", "WEBP"),
    _trailing("avif", "an AVIF", "AVIF", speed=10),
    _trailing("heic", "a HEIC", "HEIF"),
    _trailing("tif", "a TIFF", "TIFF"),
    _trailing("bmp", "a BMP", "BMP"),
)


def _jpeg(name: str, maker: Callable[[], bytes]) -> Case:
    return _odd("jpg", name, maker)


def _with(*segments: tuple[int, bytes]) -> Callable[[], bytes]:
    return lambda: make.jpeg_with(*segments)


def _bad_parameters() -> bytes:
    data = make.plain("JPEG")
    scan = data.find(b"\xff\xda")
    return make.patched(data, scan + 2 + int.from_bytes(data[scan + 2 : scan + 4]) - 3, b"\0\0\0")


_JPEG = (
    _jpeg("a JPEG of 60,000 applications' segments", _with(*[(0xE5, b"ab")] * 60_000)),
    _jpeg("a JPEG with 4 MiB of applications' data", _with(*[(0xE7, bytes(65_000))] * 64)),
    _jpeg(
        "a JPEG without Huffman tables, as webcams send it",
        lambda: make.plain("JPEG").replace(b"\xff\xc4", b"\xff\xfe"),
    ),
    _jpeg("a JPEG with another behind it, as cameras write it", lambda: make.moving("MPO")),
    _jpeg("a JPEG with a script in its comment", _with((0xFE, b"<script>alert(1)</script>" + _MARKER))),
    _jpeg("a JPEG padded before its end", lambda: make.plain("JPEG")[:-2] + bytes(3) + b"\xff\xd9"),
    _jpeg(
        "a progressive JPEG padded before its end",
        lambda: make.plain("JPEG", progressive=True)[:-2] + bytes(5) + b"\xff\xd9",
    ),
    _jpeg("a JPEG with junk between its segments", lambda: make.plain("JPEG")[:20] + b"junk" + make.plain("JPEG")[20:]),
    _jpeg("a JPEG of a JFIF version that does not exist", lambda: make.patched(make.plain("JPEG"), 11, b"\x09\x09")),
    _jpeg("a JPEG of an Adobe transform that does not exist", _with((0xEE, b"Adobe\0\x64\0\0\0\0\x07"))),
    _jpeg("a JPEG with meaningless parameters of its scan", _bad_parameters),
    _jpeg("a JPEG without a JFIF segment", lambda: make.plain("JPEG")[:2] + make.plain("JPEG")[20:]),
    _jpeg(
        "a JPEG with fill bytes before its markers",
        lambda: make.plain("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb"),
    ),
    _jpeg("a JPEG that restarts after each block", lambda: make.plain("JPEG", restart_marker_blocks=1)),
    _jpeg("a JPEG that would restart after 65,535 blocks", _with((0xDD, b"\xff\xff"))),
    _jpeg("a JPEG of an orientation that does not exist", lambda: make.plain("JPEG", exif=images.exif(9))),
    _jpeg("a JPEG with a profile for printers", lambda: make.plain("JPEG", icc_profile=images.profile("cmyk"))),
    _jpeg("a JPEG with a profile that is none", lambda: make.plain("JPEG", icc_profile=_RUBBISH)),
    _jpeg(
        "a JPEG with a preview in its EXIF block",
        lambda: make.plain("JPEG", exif=images.exif() + images.encode(images.photo(32, 32), "JPEG")),
    ),
    _jpeg("a JPEG with extended XMP", _with(*[(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + _RUBBISH)] * 50)),
)


def _png(name: str, *chunks: tuple[bytes, bytes]) -> Case:
    return _odd("png", name, lambda: make.png_with(*chunks))


def _crumbs() -> bytes:
    stream = make.pixels()[1]
    return make.png_of(make.header(), *[(b"IDAT", bytes([each])) for each in stream], (b"IDAT", b""))


def _late_animation() -> bytes:
    data = make.png_with()
    return data[:-12] + images.png_chunk(*make.animation(9)) + data[-12:]


_PNG = (
    _png("a PNG with text", (b"tEXt", b"Comment\0" + _RUBBISH)),
    _png("a PNG with compressed text", (b"zTXt", b"Comment\0\0" + zlib.compress(_RUBBISH))),
    _png("a PNG with text in a language", (b"iTXt", b"Comment\0\1\0de\0Anmerkung\0" + zlib.compress(_RUBBISH))),
    _png("a PNG with text that does not inflate", (b"zTXt", b"Comment\0\0" + _RUBBISH)),
    _png("a PNG with 5,000 texts", *[(b"tEXt", b"a\0" + _MARKER)] * 5000),
    _png("a PNG with a name that is not UTF-8", (b"tEXt", b"\xff\xfe\x80\0" + _MARKER)),
    _png("a PNG with chunks of its own program", (b"prVt", _RUBBISH), (b"vpAg", bytes(9))),
    _png("a PNG with a time", (b"tIME", b"\x07\xea\1\1\1\1\1")),
    _png("a PNG with a profile that does not inflate", (b"iCCP", b"Rubbish\0\0" + _RUBBISH)),
    _png("a PNG with a profile that is none", (b"iCCP", b"None\0\0" + zlib.compress(_RUBBISH))),
    _png("a PNG with gamma and primaries", (b"gAMA", b"\0\0\xb1\x8f"), (b"cHRM", bytes(32)), (b"sRGB", b"\0")),
    _odd("png", "a PNG of crumbs", _crumbs),
    _odd("png", "a PNG that says too late that it is animated", _late_animation),
)


def _gif(name: str, maker: Callable[[], bytes]) -> Case:
    return _odd("gif", name, maker)


def _gif_with(extension: bytes) -> bytes:
    data = make.moving("GIF", duration=70)
    head = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:head] + extension + data[head:]


def _blocks(data: bytes) -> bytes:
    return b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)) + b"\0"


_XMP = b"\x21\xff\x0bXMP DataXMP" + images.XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"
_GIF = (
    _gif("a GIF of the first version", lambda: make.patched(make.plain("GIF"), 0, b"GIF87a")),
    _gif("a GIF with a comment of 1 MiB", lambda: _gif_with(b"\x21\xfe" + _blocks(_MARKER * (_MIB // len(_MARKER))))),
    _gif("a GIF with XMP", lambda: _gif_with(_XMP)),
    _gif("a GIF with another program's data", lambda: _gif_with(b"\x21\xff\x0bICCRGBG1012" + _blocks(_RUBBISH))),
    _gif("a GIF of 1,000 frames", lambda: make.gif(1, 1, make.gif_frame(data=b"\x02\x02\x44\x01\0") * 1000)),
    _gif(
        "a GIF whose frames all show the same",
        lambda: images.encode_film([images.photo(64, 48)] * 3, "GIF", duration=[40, 50, 60], loop=0),
    ),
)


def _webp_chunk(name: bytes, data: bytes) -> bytes:
    return make.riff(make.canvas(160, 120, 0), make.webp_pixels(make.plain("WEBP")), (name, data))


def _still_film() -> bytes:
    """Two frames that show the same, which libwebp would join, and one that does not."""
    first, other = (
        make.webp_pixels(images.encode(images.photo(64, 48, seed), "WEBP", lossless=True)) for seed in (0, 1)
    )
    frames = [make.webp_frame(64, 48, each) for each in (first, first, other)]
    return make.riff(make.canvas(64, 48), (b"ANIM", bytes(6)), *frames)


_OTHERS = (
    _odd("webp", "a WebP with a chunk that nobody knows", partial(_webp_chunk, b"HIDE", _RUBBISH)),
    _odd("webp", "a WebP with EXIF that its head does not mention", partial(_webp_chunk, b"EXIF", images.exif())),
    _odd("webp", "a WebP with frames that show the same", _still_film),
    _odd(
        "avif",
        "an AVIF with a box that nobody knows",
        lambda: make.plain("AVIF", speed=10) + containers.box(b"hide", _RUBBISH),
    ),
    _odd("heic", "a HEIC with free space", lambda: make.plain("HEIF") + containers.box(b"free", _RUBBISH)),
    _odd("tif", "a TIFF with tags that nobody knows", lambda: containers.tiff(containers.tag(60_000, 7, _RUBBISH))),
    _odd("tif", "a TIFF of one strip that never ends", lambda: containers.tiff(containers.tag(278, 4, 2**32 - 1))),
    _odd(
        "tif",
        "a TIFF that says who wrote it",
        lambda: containers.tiff(
            containers.tag(305, 2, _MARKER + b"\0"),
            containers.tag(306, 2, b"2026:01:01 00:00:00\0"),
            containers.tag(315, 2, _MARKER + b"\0"),
        ),
    ),
    _odd(
        "tif",
        "a TIFF with the same directory 100 times inside its page",
        lambda: containers.tiff(containers.tag(330, 4, struct.pack("<100I", *[72] * 100))),
    ),
    _odd("bmp", "a BMP whose first row is on top", lambda: make.bmp(8, -8, body=bytes(range(192)))),
    _odd("bmp", "a BMP that says it is empty", lambda: make.patched(make.plain("BMP"), 2, bytes(4))),
    _odd(
        "bmp",
        "a BMP of run lengths",
        lambda: make.bmp(8, 2, depth=8, compression=1, body=bytes(1024) + b"\x08\5\0\0\x08\7\0\1", start=1078),
    ),
)

CASES: tuple[Case, ...] = (*_TRAILING, *_JPEG, *_PNG, *_GIF, *_OTHERS)
