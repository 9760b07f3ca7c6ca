"""WebP, HEIF, AVIF, TIFF and BMP files that are cut, corrupt or mis-chunked: none of them may be promoted."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from tests import images
from tests.corpus import image_containers as containers
from tests.corpus import image_files as make
from tests.corpus.case import Case
from worker.scan import ReasonCode, Status

_FAMILY = "damaged images"
_BROKEN = frozenset({ReasonCode.IMAGE_UNDECODABLE})


def _broken(extension: str, name: str, maker: Callable[[], bytes]) -> Case:
    return Case(_FAMILY, name, f"broken.{extension}", maker, Status.REJECTED, _BROKEN)


def _webp(name: str, *chunks: tuple[bytes, bytes]) -> Case:
    return _broken("webp", name, lambda: make.riff(*chunks))


def _lossy() -> bytes:
    return make.plain("WEBP")


_WEBP = (
    _broken("webp", "a WebP that says it is longer", lambda: make.patched(_lossy(), 4, b"\xff\xff\xff\x7f")),
    _broken("webp", "a WebP that says it is shorter", lambda: make.patched(_lossy(), 4, struct.pack("<I", 500))),
    _broken(
        "webp", "a WebP with a chunk of 4,294,967,295 bytes", lambda: make.patched(_lossy(), 16, b"\xff\xff\xff\xff")
    ),
    _webp("a WebP without pixels", make.canvas(8, 8, 0)),
    _webp("a WebP with nothing in its pixels", make.lossy(64, 64)),
    _webp("a lossless WebP with nothing in its pixels", make.lossless(64, 64)),
    _webp("an animated WebP without a frame", make.canvas(8, 8), (b"ANIM", bytes(6))),
    _webp("an animated WebP with a frame of no pixels", make.canvas(8, 8), (b"ANIM", bytes(6)), make.webp_frame(8, 8)),
    _webp(
        "an animated WebP with a frame that is too short", make.canvas(8, 8), (b"ANIM", bytes(6)), (b"ANMF", bytes(7))
    ),
    _webp(
        "a WebP whose transparency is rubbish",
        make.canvas(160, 120, 0x10),
        (b"ALPH", b"\1rubbish"),
        make.webp_pixels(images.encode(images.photo(), "WEBP")),
    ),
)


def _half_of_zeros(data: bytes) -> bytes:
    """As a transfer leaves it that has stopped, on a disk that had kept the room."""
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


def _heif(extension: str, name: str, old: bytes, new: bytes, *, skip: int = 0) -> Case:
    kind, options = ("HEIF", {}) if extension == "heic" else ("AVIF", {"speed": 10})

    def maker() -> bytes:
        data = make.plain(kind, **options)
        return make.patched(data, data.find(old) + skip, new)

    return _broken(extension, name, maker)


_HEIF = (
    _heif("avif", "an AVIF with a box of 2,147,483,647 bytes", b"mdat", b"\x7f\xff\xff\xff", skip=-4),
    _heif("heic", "a HEIC with a box of 4,294,967,295 bytes", b"mdat", b"\xff\xff\xff\xff", skip=-4),
    _heif("avif", "an AVIF with a box that reaches beyond another", b"ispe", b"\x00\xff\xff\xff", skip=-4),
    _heif("heic", "a HEIC whose image is nowhere", b"iloc", b"free"),
    _heif("avif", "an AVIF without items", b"iinf", b"free"),
    _heif("heic", "a HEIC without a decoder's settings", b"hvcC", b"free"),
    _heif("avif", "an AVIF without a size", b"ispe", b"free"),
    _heif("avif", "an AVIF of rubbish", b"mdat", bytes(1000), skip=8),
    _heif("heic", "a HEIC of rubbish", b"mdat", bytes(1000), skip=8),
    _broken("heic", "a HEIC whose last half is zeros", lambda: _half_of_zeros(make.plain("HEIF"))),
    _broken("avif", "an AVIF whose last half is zeros", lambda: _half_of_zeros(make.plain("AVIF", speed=10))),
    _heif("avif", "an AVIF without its description", b"meta", b"free"),
)


def _tiff(name: str, *tags: tuple[int, int, int, bytes]) -> Case:
    return _broken("tif", name, lambda: containers.tiff(*tags))


_TIFF = (
    _tiff("a TIFF with pixels behind its end", containers.tag(273, 4, 1_000_000)),
    _tiff(
        "a TIFF with a strip of 4,294,967,295 bytes behind its end",
        containers.tag(273, 4, 2**32 - 1),
        containers.tag(279, 4, 2**32 - 1),
    ),
    _tiff(
        "a TIFF of uncompressed pixels that are not all there", containers.tag(257, 4, 80), containers.tag(278, 4, 80)
    ),
    _tiff("a TIFF of a compression that nobody knows", containers.tag(259, 3, 60_000)),
    _tiff("a TIFF with LZW that means nothing", containers.tag(259, 3, 5)),
    _tiff("a TIFF with deflate that means nothing", containers.tag(259, 3, 8)),
    _tiff("a TIFF of 7 bits", containers.tag(258, 3, 7)),
    _tiff("a TIFF of no width", containers.tag(256, 4, 0)),
    _broken("tif", "a TIFF whose first page is behind its end", lambda: containers.tiff_head(5000) + bytes(100)),
    _broken(
        "tif", "a TIFF whose second page is behind its end", lambda: containers.tiff()[:-4] + struct.pack("<I", 100_000)
    ),
)

_BMP = (
    _broken("bmp", "a BMP of 3 bits", lambda: make.bmp(8, 8, depth=3, body=bytes(300))),
    _broken("bmp", "a BMP whose pixels begin behind its end", lambda: make.bmp(8, 8, body=bytes(192), start=5000)),
    _broken("bmp", "a BMP that holds a JPEG", lambda: make.bmp(8, 8, compression=4, body=make.plain("JPEG"))),
    _broken(
        "bmp",
        "a BMP of run lengths that do not end",
        partial(make.bmp, 8, 8, depth=8, compression=1, body=b"\x08\1" * 3),
    ),
    _broken("bmp", "a BMP that is higher than its pixels go", lambda: make.bmp(8, 80, body=bytes(192))),
)

CASES: tuple[Case, ...] = (*_WEBP, *_HEIF, *_TIFF, *_BMP)
