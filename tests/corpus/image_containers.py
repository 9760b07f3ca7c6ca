"""TIFF, HEIF and AVIF put together byte by byte: every number in them may be a lie."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tests import images
from tests.corpus.image_files import patched, plain

Tag = tuple[int, int, int, bytes]

_LONG, _SHORT = 4, 3  # types of TIFF values
_LENGTH = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}

# TIFF: a tag is its number, the type of its values, how many there are, and their bytes or the offset of them


def tag(number: int, kind: int, value: int | bytes, count: int | None = None) -> Tag:
    """An entry; bytes are put where there is room for them."""
    data = value if isinstance(value, bytes) else struct.pack("<I" if kind == _LONG else "<H", value)
    return number, kind, len(data) // _LENGTH[kind] if count is None else count, data


def grey_tags(width: int, height: int, strip: int, *more: Tag) -> list[Tag]:
    """What a page of 8 bits needs, sorted; its pixels lie at `strip`."""
    needed = [(256, width), (257, height), (273, strip), (278, height), (279, width * height % 2**32)]
    small = [(258, 8), (259, 1), (262, 1), (277, 1)]
    tags = {number: tag(number, _LONG, value) for number, value in needed}
    tags |= {number: tag(number, _SHORT, value) for number, value in small} | {each[0]: each for each in more}
    return [tags[number] for number in sorted(tags)]


def directory(at: int, tags: Iterable[Tag], following: int = 0) -> bytes:
    """A directory that will stand at an offset, with its longer values behind it."""
    tags = list(tags)
    head, values = struct.pack("<H", len(tags)), b""
    room = at + 2 + 12 * len(tags) + 4
    for number, kind, count, data in tags:
        place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", room + len(values))
        values += data if len(data) > 4 else b""
        head += struct.pack("<HHI", number, kind, count) + place
    return head + struct.pack("<I", following) + values


def tiff(*more: Tag, width: int = 8, height: int = 8) -> bytes:
    """One grey page: eight bytes of head, 64 of pixels, then its directory. `more` replaces tags of the same number."""
    return tiff_head(72) + bytes(range(64)) + directory(72, grey_tags(width, height, 8, *more))


def tiff_head(first: int) -> bytes:
    return b"II*\0" + struct.pack("<I", first)


# HEIF and AVIF


def box(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", len(content) + 8, name) + content


def full_box(name: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags) + content)


def heif_claiming(width: int, height: int, kind: str = "AVIF") -> bytes:
    """A small image that says it is that large."""
    data = plain(kind, **({"speed": 10} if kind == "AVIF" else {}))
    return patched(data, data.find(b"ispe") + 8, struct.pack(">II", width, height))


def grid(columns: int, rows: int, width: int, height: int, claimed: tuple[int, int] | None = None) -> bytes:
    """An AVIF of one tile of 64 x 64 pixels, shown so many times. claimed: what `ispe` says of the whole."""
    tile = images.encode(images.photo(64, 64), "AVIF", speed=10)
    av1 = tile[tile.find(b"mdat") + 4 :]
    properties = [full_box(b"ispe", struct.pack(">II", *(claimed or (width, height)))), _box_of(tile, b"av1C")]
    properties += [full_box(b"ispe", struct.pack(">II", 64, 64)), full_box(b"pixi", b"\x03\x08\x08\x08")]
    of_grid, of_tile = struct.pack(">HBBB", 1, 2, 0x01, 0x04), struct.pack(">HBBBB", 2, 3, 0x82, 0x03, 0x04)
    associations = full_box(b"ipma", struct.pack(">I", 2) + of_grid + of_tile)
    items = [
        full_box(b"infe", struct.pack(">HH4sB", number, 0, name, 0), 2) for number, name in ((1, b"grid"), (2, b"av01"))
    ]
    whole = bytes([0, 1, rows - 1, columns - 1]) + struct.pack(">II", width, height)
    tiles = struct.pack(">HH", 1, columns * rows) + struct.pack(">H", 2) * (columns * rows)
    brands = box(b"ftyp", b"avif" + bytes(4) + b"avifmif1miaf")
    fixed = full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)) + full_box(b"pitm", struct.pack(">H", 1))
    fixed += full_box(b"iinf", struct.pack(">H", 2) + b"".join(items))
    fixed += full_box(b"iref", box(b"dimg", tiles)) + box(b"iprp", box(b"ipco", b"".join(properties)) + associations)
    start = len(brands) + 12 + len(fixed) + 12 + 4 + 2 * 14 + 8
    places = [(1, start, len(whole)), (2, start + len(whole), len(av1))]
    entries = b"".join(struct.pack(">HHHII", number, 0, 1, at, size) for number, at, size in places)
    where = full_box(b"iloc", b"\x44\x00" + struct.pack(">H", 2) + entries)
    return brands + full_box(b"meta", fixed + where) + box(b"mdat", whole + av1)


def _box_of(data: bytes, name: bytes) -> bytes:
    start = data.find(name) - 4
    return data[start : start + int.from_bytes(data[start : start + 4])]
