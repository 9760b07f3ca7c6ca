"""What the items of a HEIF or AVIF promise (ISO/IEC 23008-12, sections 6.5 and 9; 14496-12, section 8.11)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from worker.sandbox.formats import heif_locations, hevc_units
from worker.sandbox.formats.heif_boxes import Box, boxes, content, inside
from worker.sandbox.refusal import undecodable
from worker.sandbox.tally import Tally

_EFFORT = 10  # of a step: see `Tally`
_IMAGE = frozenset({b"ftyp", b"styp", b"meta", b"mdat", b"moov", b"moof"})  # the last of these ends it
_PROFILE_KINDS = (b"prof", b"rICC")
_METADATA_KINDS = (b"Exif", b"mime", b"uri ")
_HEVC_KINDS = (b"hvc1", b"hev1")
_MOST_ITEMS = 1000  # as libheif has it
_LARGEST_TABLE = 1 << 20  # bytes of a box that lists where items are


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless every box is whole, and what they promise is within the limits."""
    size, end, names = file.seek(0, 2), 0, set()
    for box in boxes(file, 0, size):
        if box.end > size and box.name in _IMAGE:
            raise undecodable("it ends in the middle of a box")
        tally.step(_EFFORT)
        names.add(box.name)
        if box.name == b"meta":
            _survey_meta(file, box, tally)
        elif box.name == b"moov" and is_sequence(file):
            _survey_tracks(file, box, tally)
        if box.name in _IMAGE:
            end = box.end
    if b"ftyp" not in names or not names & {b"meta", b"moov"}:
        raise undecodable("it holds no image")
    return end


def is_sequence(file: BinaryIO) -> bool:
    """Is it an animated AVIF? Such a one holds its first frame as a still image, too."""
    file.seek(0)
    return file.read(12)[4:] == b"ftypavis"


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


def _survey_tracks(file: BinaryIO, moov: Box, tally: Tally) -> None:
    """The frames of the first track; others hold their transparency, or sound."""
    path = (b"trak", b"mdia", b"minf", b"stbl")
    for table in inside(file, moov, *path):
        sizes = [content(file, box, 12) for box in inside(file, table, b"stsz")]
        entries = [content(file, box, 44)[40:].ljust(4, b"\0") for box in inside(file, table, b"stsd")]
        if not sizes or not entries:
            raise undecodable("a track of it is not described")
        count = int.from_bytes(sizes[0][8:])
        tally.announced(count)
        for _ in range(count):
            tally.frame(*struct.unpack(">HH", entries[0]))
        return


def _survey_items(file: BinaryIO, meta: Box, tally: Tally) -> None:
    kinds: dict[int, bytes] = {}
    for box in inside(file, meta, b"iinf", b"infe"):
        if len(kinds) == _MOST_ITEMS:
            raise undecodable(f"it holds more than {_MOST_ITEMS} items")
        kinds.update([heif_locations.kind(content(file, box, 16))])
    for box in inside(file, meta, b"iloc"):
        for item, pieces in heif_locations.places(content(file, box, _LARGEST_TABLE)).items():
            tally.step(_EFFORT * len(pieces))
            if kinds.get(item) in _METADATA_KINDS:
                tally.metadata(sum(piece.length for piece in pieces))
            elif kinds.get(item) in _HEVC_KINDS:
                hevc_units.check(file, pieces)
