"""Holes in HEVC: libde265 paints over them in grey, and libheif does not ask it whether it did.

HEVC has no checksum that writers must add. But it never holds two zeros before a byte below three (ITU-T H.265,
section 7.4.2), so that where a disk or a transfer has left zeros, it shows; and every unit says how long it is.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from worker.sandbox.formats.heif_locations import Piece
from worker.sandbox.refusal import undecodable

_PREFIX = 4  # bytes of a unit's length, as everybody writes them
_FORBIDDEN = re.compile(rb"\0\0[\0\1\2]")


def check(file: BinaryIO, pieces: list[Piece]) -> None:
    """Raises `Refusal` where the units of an item are cut or have holes. One unit is in memory at a time."""
    if len(pieces) != 1 or not pieces[0].in_file:
        return  # libheif puts it together, or refuses it
    start, length, _ = pieces[0]
    end = start + length
    while start < end:
        file.seek(start)
        size = int.from_bytes(file.read(_PREFIX))
        start += _PREFIX + size
        if start > end:
            raise undecodable("an image of it is cut")
        if _FORBIDDEN.search(file.read(size)):
            raise undecodable("an image of it has a hole")
