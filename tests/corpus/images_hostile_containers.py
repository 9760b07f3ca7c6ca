"""Small TIFF, HEIF and AVIF files that promise much: refused by their headers, before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from tests.corpus import image_containers as make
from tests.corpus.case import Case
from tests.corpus.image_files import MIB, moving, patched
from worker.scan import ReasonCode, Status

_FAMILY = "image bombs"
_SECONDS = 1.0
_LARGE, _MANY, _BROKEN = ReasonCode.IMAGE_TOO_LARGE, ReasonCode.IMAGE_TOO_MANY_FRAMES, ReasonCode.IMAGE_UNDECODABLE


def _bomb(
    filename: str, name: str, maker: Callable[[], bytes], code: ReasonCode, seconds: float | None = _SECONDS
) -> Case:
    return Case(_FAMILY, name, filename, maker, Status.REJECTED, frozenset({code}), seconds=seconds)


def _sequence_of(frames: int) -> bytes:
    """An animated AVIF that says how many samples its track has."""
    data = moving("AVIF", duration=70, speed=10)
    return patched(data, data.find(b"stsz") + 12, struct.pack(">I", frames))


def _sequence_of_size(width: int, height: int) -> bytes:
    """An animated AVIF that says how large its track is."""
    data = moving("AVIF", duration=70, speed=10)
    return patched(data, data.find(b"av01", data.find(b"stsd")) + 28, struct.pack(">HH", width, height))


def _many_items() -> bytes:
    """65,535 items that are said to be metadata of 4 GiB each, in the same few bytes."""
    entries = b"".join(struct.pack(">HHHII", number, 0, 1, 0, 2**32 - 1) for number in range(1, 65_536))
    items = b"".join(
        make.full_box(b"infe", struct.pack(">HH4sB", number, 0, b"Exif", 0), 2) for number in range(1, 65_536)
    )
    where = make.full_box(b"iloc", b"\x44\x00" + struct.pack(">H", 65_535) + entries)
    meta = make.full_box(b"meta", make.full_box(b"iinf", struct.pack(">H", 65_535) + items) + where)
    return make.box(b"ftyp", b"avif" + bytes(4) + b"avifmif1") + meta


_HEIF = (
    _bomb(
        "bomb.avif",
        "an AVIF that says it is 17,000 x 17,000 pixels large",
        partial(make.heif_claiming, 17_000, 17_000),
        _LARGE,
    ),
    _bomb(
        "bomb.heic",
        "a HEIC that says it is 17,000 x 17,000 pixels large",
        partial(make.heif_claiming, 17_000, 17_000, "HEIF"),
        _LARGE,
    ),
    _bomb(
        "bomb.avif",
        "an AVIF of 4,294,967,295 x 4,294,967,295 pixels",
        partial(make.heif_claiming, 2**32 - 1, 2**32 - 1),
        _LARGE,
    ),
    _bomb("bomb.heic", "a HEIC of 1 x 2,147,483,648 pixels", partial(make.heif_claiming, 1, 2**31, "HEIF"), _LARGE),
    _bomb("bomb.avif", "an AVIF of 9,000 x 9,000 pixels, so it says", partial(make.heif_claiming, 9000, 9000), _BROKEN),
    _bomb(
        "bomb.heic",
        "a HEIC of 9,000 x 9,000 pixels, so it says",
        partial(make.heif_claiming, 9000, 9000, "HEIF"),
        _BROKEN,
    ),
    _bomb(
        "bomb.avif",
        "an AVIF that is a grid of 17,000 x 17,000 pixels",
        lambda: make.grid(255, 255, 17_000, 17_000),
        _LARGE,
    ),
    _bomb(
        "bomb.avif",
        "an AVIF that is a grid of 65,025 tiles, and says that it is one",
        lambda: make.grid(255, 255, 16_320, 16_320, (64, 64)),
        _BROKEN,
    ),
    _bomb("bomb.avif", "an AVIF of 65,535 items", _many_items, _BROKEN),
    _bomb("bomb.avif", "an animated AVIF of 4,294,967,295 frames", lambda: _sequence_of(2**32 - 1), _MANY),
    _bomb("bomb.avif", "an animated AVIF of 5 frames that has 4", lambda: _sequence_of(5), _BROKEN),
    _bomb("bomb.avif", "an animated AVIF of 60,000 x 60,000 pixels", lambda: _sequence_of_size(60_000, 60_000), _LARGE),
)


def _tiff(name: str, maker: Callable[[], bytes], code: ReasonCode = _LARGE) -> Case:
    return _bomb("bomb.tif", name, maker, code)


def _chain(pages: int) -> bytes:
    """Directories without a single tag, one behind the other."""
    body = b"".join(struct.pack("<HI", 0, 8 + 6 * (number + 1)) for number in range(pages - 1))
    return make.tiff_head(8) + body + bytes(6)


def _thick(pages: int) -> bytes:
    """Pages that all show the same strip."""
    width, height, step = 2000, 1000, 2 + 12 * 9 + 4
    data = make.tiff_head(8)
    for number in range(pages):
        following = len(data) + step if number < pages - 1 else 0
        data += make.directory(len(data), make.grey_tags(width, height, 8), following)
    return data


def _inner(count: int) -> bytes:
    """A page with so many directories in it."""
    places = struct.pack(f"<{count}I", *range(1000, 1000 + count))
    return make.tiff(make.tag(330, 4, places)) + bytes(count)


_TIFF = (
    _tiff("a TIFF of a million directories", lambda: _chain(1_000_000), _MANY),
    _tiff("a TIFF of 1,001 directories", lambda: _chain(1001), _MANY),
    _tiff(
        "a TIFF whose directories form a circle", lambda: make.tiff_head(8) + struct.pack("<HIHI", 0, 14, 0, 8), _BROKEN
    ),
    _tiff("a TIFF whose directory is its own successor", lambda: make.tiff_head(8) + struct.pack("<HI", 0, 8), _BROKEN),
    _tiff("a TIFF with a million directories inside a page", lambda: _inner(1_000_000), _BROKEN),
    _tiff("a TIFF of 600 pages of 2,000 x 1,000 pixels in the same bytes", lambda: _thick(600)),
    _tiff("a TIFF of 4,294,967,295 x 4,294,967,295 pixels", lambda: make.tiff(width=2**32 - 1, height=2**32 - 1)),
    _tiff("a TIFF of 1 x 65,536 pixels", lambda: make.tiff(width=1, height=65_536)),
    _tiff("a TIFF with a profile of 5 MiB", lambda: make.tiff(make.tag(34675, 7, bytes(5 * MIB)))),
    _tiff(
        "a TIFF of 65,535 tags in one directory",
        lambda: make.tiff_head(8) + struct.pack("<H", 65_535) + bytes(12 * 65_535 + 4),
        _BROKEN,
    ),
    _tiff(
        "a TIFF with tiles of 2,147,483,632 pixels to a side",
        lambda: make.tiff(
            make.tag(322, 4, 2**31 - 16), make.tag(323, 4, 2**31 - 16), make.tag(324, 4, 8), make.tag(325, 4, 64)
        ),
        _BROKEN,
    ),
    _tiff(
        "a BigTIFF of 1,152,921,504,606,846,976 tags",
        lambda: b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60) + bytes(100),
        _BROKEN,
    ),
    _tiff("a TIFF of 65,535 samples a pixel", lambda: make.tiff(make.tag(277, 3, 65_535)), _BROKEN),
)


CASES: tuple[Case, ...] = (*_HEIF, *_TIFF)
