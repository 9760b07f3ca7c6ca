"""ISO base media files (ISO/IEC 14496-12): HEIC, AVIF, MP4 and QuickTime begin alike, with a list of brands.

libmagic goes by the first brand. Generic ones say nothing (`mif1`: some image), and it does not know all cameras'.
"""

from __future__ import annotations

from typing import BinaryIO

_MOST_BRANDS = 64
_TYPES = (  # in order; a brand anywhere in the list counts
    (("avif", "avis"), "image/avif"),
    (("heic", "heix", "heim", "heis"), "image/heic"),
    (("hevc", "hevx", "hevm", "hevs"), "image/heic-sequence"),
    (("M4A ", "M4B "), "audio/mp4"),
    (("qt  ",), "video/quicktime"),
    (("mp41", "mp42", "isom", "iso2", "iso4", "iso5", "iso6", "avc1", "dash"), "video/mp4"),
)


def inner_type(file: BinaryIO) -> str | None:
    """The type by the first brand if that says anything, else by the others."""
    file.seek(0)
    head = file.read(8 + 8 + 4 * _MOST_BRANDS)
    if head[4:8] != b"ftyp":
        return None
    size = min(int.from_bytes(head[:4]), len(head))
    first = head[8:12].decode("latin-1")
    brands = {head[at : at + 4].decode("latin-1") for at in range(16, size - 3, 4)}
    return _by_brand({first}) or _by_brand(brands)


def _by_brand(brands: set[str]) -> str | None:
    return next((media_type for known, media_type in _TYPES if brands.intersection(known)), None)
