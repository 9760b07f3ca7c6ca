"""What the items of a HEIF or AVIF promise (ISO/IEC 23008-12, sections 6.5 and 9; 14496-12, section 8.11)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from worker.sandbox.formats.heif_boxes import Box, boxes, content, inside
from worker.sandbox.refusal import undecodable
from worker.sandbox.tally import Tally

_EFFORT = 10  # of a step: see `Tally`
_TOP = frozenset({b"ftyp", b"styp", b"meta", b"mdat", b"moov", b"moof", b"free", b"skip", b"uuid", b"wide"})
_PROFILE_KINDS = (b"prof", b"rICC")
_METADATA_KINDS = (b"Exif", b"mime", b"uri ")
_LARGEST_TABLE = 1 << 20  # bytes of a box that lists where items are


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless every box is whole, and what they promise is within the limits."""
    size, end, names = file.seek(0, 2), 0, set()
    for box in boxes(file, 0, size):
        if box.end > size and box.name not in _TOP:
            break  # no box, but what somebody has put behind the last
        if box.end > size:
            raise undecodable("it ends in the middle of a box")
        tally.step(_EFFORT)
        names.add(box.name)
        if box.name == b"meta":
            _survey_meta(file, box, tally)
        end = box.end
    if not {b"ftyp", b"meta"} <= names:
        raise undecodable("it holds no image")
    return end


def colour_code(file: BinaryIO) -> tuple[int, int] | None:
    """Primaries and transfer by ITU-T H.273, of the first image that names them; None: none does."""
    for meta in boxes(file, 0, file.seek(0, 2)):
        for box in inside(file, meta, b"iprp", b"ipco", b"colr") if meta.name == b"meta" else ():
            if (colour := content(file, box, 8))[:4] == b"nclx" and len(colour) == 8:
                return int.from_bytes(colour[4:6]), int.from_bytes(colour[6:])
    return None


def _survey_meta(file: BinaryIO, meta: Box, tally: Tally) -> None:
    for box in inside(file, meta, b"iprp", b"ipco", b"ispe"):
        tally.step(_EFFORT)
        width, height = struct.unpack(">II", content(file, box, 12)[4:].ljust(8, b"\0"))
        tally.canvas(width, height)
    for box in inside(file, meta, b"iprp", b"ipco", b"colr"):
        if content(file, box, 4) in _PROFILE_KINDS:
            tally.profile(box.end - box.start)
    _survey_items(file, meta, tally)


def _survey_items(file: BinaryIO, meta: Box, tally: Tally) -> None:
    metadata = set()
    for box in inside(file, meta, b"iinf", b"infe"):
        tally.step(_EFFORT)
        metadata.add(_metadata_item(content(file, box, 16)))
    for box in inside(file, meta, b"iloc"):
        for item, length in _lengths(content(file, box, _LARGEST_TABLE)):
            tally.step(_EFFORT)
            if item in metadata:
                tally.metadata(length)


def _metadata_item(info: bytes) -> int | None:
    """The number of an item, if it is metadata."""
    width = 4 if info[:1] == b"\x03" else 2  # bytes of the number
    is_metadata = info[4 + width + 2 :][:4] in _METADATA_KINDS
    return int.from_bytes(info[4 : 4 + width]) if is_metadata else None


def _lengths(table: bytes) -> list[tuple[int, int]]:
    """The number of each item, and how many bytes each of its pieces has; as far as the table goes."""
    version, widths = table[0], int.from_bytes(table[4:6])
    offset, length, base, index = (widths >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    method, index = (2, index) if version else (0, 0)
    found, at = [], 6 + wide
    while at + wide <= len(table):
        item = int.from_bytes(table[at : at + wide])
        at += wide + method + 2 + base
        pieces = int.from_bytes(table[at : at + 2])
        at += 2
        for _ in range(min(pieces, len(table))):
            at += index + offset
            found.append((item, int.from_bytes(table[at : at + length])))
            at += length
    return found
