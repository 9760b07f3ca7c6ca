"""ISO base media files (ISO/IEC 14496-12): HEIC, AVIF, MP4 and QuickTime begin alike, with a list of brands.

libmagic goes by the first brand. Generic ones say nothing (`mif1`: some image), and it does not know all cameras'; nor
does it look at what follows, so the rest must be made of boxes, with the one that every player needs among them.
"""

from __future__ import annotations

from typing import BinaryIO

from worker.sandbox.containers.window import at, size_of

_MOST_BRANDS = 64
_MOST_BOXES = 100_000  # at the top level; a stream of an hour in fragments of a second has 7,200
_TYPES = (  # in order; a brand anywhere in the list counts
    (("avif", "avis"), "image/avif"),
    (("heic", "heix", "heim", "heis"), "image/heic"),
    (("hevc", "hevx", "hevm", "hevs"), "image/heic-sequence"),
    (("M4A ", "M4B "), "audio/mp4"),
    (("qt  ",), "video/quicktime"),
    (("mp41", "mp42", "isom", "iso2", "iso4", "iso5", "iso6", "avc1", "dash"), "video/mp4"),
)
_MOVIE = frozenset({b"moov", b"moof"})
_FIRST_OF_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


def inner_type(file: BinaryIO) -> str | None:
    """The type by the first brand if that says anything, else by the others."""
    head = at(file, 0, 8 + 8 + 4 * _MOST_BRANDS)
    if head[4:8] in _FIRST_OF_OLD_QUICKTIME and is_movie(file):
        return "video/quicktime"
    if head[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(head[:4]), len(head))
    first = head[8:12].decode("latin-1")
    brands = {head[place : place + 4].decode("latin-1") for place in range(16, size - 3, 4)}
    return _by_brand({first}) or _by_brand(brands)


def is_movie(file: BinaryIO) -> bool:
    """Is it boxes, one after the other, and one that describes a movie among them? The last may be cut off."""
    place, end, seen = 0, size_of(file), set()
    for _ in range(_MOST_BOXES):
        header = at(file, place, 16)
        size, kind = int.from_bytes(header[:4]), header[4:8]
        if len(header) < 8 or not _is_name(kind):
            break
        seen.add(kind)
        size = int.from_bytes(header[8:16]) if size == 1 else size or end - place
        if size < 8:
            break
        place += size
        if seen & _MOVIE and place >= end:
            break
    first = at(file, 4, 4)
    return bool(seen & _MOVIE) and (first == b"ftyp" or first in _FIRST_OF_OLD_QUICKTIME)


def _is_name(kind: bytes) -> bool:
    return all(0x20 <= each < 0x7F or each == 0xA9 for each in kind)


def _by_brand(brands: set[str]) -> str | None:
    return next((media_type for known, media_type in _TYPES if brands.intersection(known)), None)
