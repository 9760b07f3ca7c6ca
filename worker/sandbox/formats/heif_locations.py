"""Which items a HEIF or AVIF has, and where in the file they lie (ISO/IEC 14496-12, sections 8.11.3 and 8.11.6)."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple


class Piece(NamedTuple):
    """A part of an item: so many bytes from there on."""

    start: int
    length: int
    in_file: bool  # or relative to something else


def kind(info: bytes) -> tuple[int, bytes]:
    """The number of an item and its type. info: the content of `infe`."""
    width = 4 if info[:1] == b"\x03" else 2  # bytes of the number
    return int.from_bytes(info[4 : 4 + width]), info[4 + width + 2 :][:4]


def places(table: bytes) -> dict[int, list[Piece]]:
    """The pieces of each item, as far as the table goes. table: the content of `iloc`."""
    version, widths = table[0], int.from_bytes(table[4:6])
    offset, length, base, index = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    way, index = (2, index) if version else (0, 0)
    found: dict[int, list[Piece]] = defaultdict(list)
    at = 6 + wide
    while at + wide <= len(table):
        item = int.from_bytes(table[at : at + wide])
        at += wide
        in_file = not int.from_bytes(table[at : at + way]) & 15
        at += way + 2
        origin = int.from_bytes(table[at : at + base])
        at += base
        count = int.from_bytes(table[at : at + 2])
        at += 2
        for _ in range(min(count, len(table))):
            at += index
            start = origin + int.from_bytes(table[at : at + offset])
            found[item].append(Piece(start, int.from_bytes(table[at + offset : at + offset + length]), in_file))
            at += offset + length
    return found
