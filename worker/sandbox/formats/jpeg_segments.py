"""The segments that a JPEG is made of (ITU-T T.81, annex B): walked to its end, counted, and tidied up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from typing import BinaryIO, NamedTuple

from worker.sandbox.formats.jpeg_scans import Scans
from worker.sandbox.refusal import undecodable
from worker.sandbox.tally import Tally

_EFFORT = 12  # of a step: see `Tally`
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_APP, _COMMENT = range(0xE0, 0xF0), 0xFE
_JFIF, _EXIF, _ICC, _ADOBE = (0xE0, b"JFIF\0"), (0xE1, b"Exif\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe")
_NEEDED = (_JFIF, _EXIF, _ICC, _ADOBE)  # of all applications' segments: colours, and which way is up
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = (0xC0, 0xC1, 0xC3, 0xC9, 0xCB)  # lossless ones included: what comes, comes whole
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_AMONG_PIXELS = re.compile(rb"\xff[^\x00\xff\x01\xd0-\xd7]")
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")


class Segment(NamedTuple):
    """One segment with its marker; the first scan of a frame and all others have their pixels behind `pixels`."""

    marker: int
    start: int  # offset of the marker
    pixels: int  # offset: the end of what its length field covers
    end: int  # offset of the next marker, or of the junk before it


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless the file is whole and within the limits."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        scans, end = Scans(), 0
        for segment in segments(data):
            tally.step(_EFFORT)
            _count(data, segment, tally)
            header = data[segment.start + 4 : segment.pixels]
            if segment.marker in _FRAMES:
                scans.begin(header, sequential=segment.marker in _SEQUENTIAL)
            elif segment.marker == _SOS:
                scans.add(header)
            end = segment.end
        scans.check()
    tally.finish()
    return end


def segments(data: mmap) -> Iterator[Segment]:
    """All of them, up to the end of the image. Raises `Refusal` if there is none."""
    if data[:2] != b"\xff\xd8":
        raise undecodable("it does not begin like a JPEG")
    at, marker = 2, _SOI
    yield Segment(marker, 0, 2, 2)
    while marker != _EOI:
        found = _MARKER.search(data, at)
        if found is None:
            raise undecodable("the JPEG has no end")
        marker, start = data[found.end() - 1], found.start()
        pixels = end = _end(data, marker, found.end())
        if marker == _SOS:
            following = _MARKER_AMONG_PIXELS.search(data, pixels)
            end = following.start() if following else len(data)
        yield Segment(marker, start, pixels, end)
        at = end


def tidied(data: mmap, complaint: str) -> bytes:
    """The same image without what libjpeg complains of although it decodes completely all the same.

    So that every other complaint may be taken seriously: behind the first, none is heard. What cameras and programs
    write: junk between segments or behind the pixels, parameters that have no meaning in a sequential scan, JFIF
    versions and Adobe transforms that do not exist. `complaint`: libjpeg's own words.
    """
    found = _EXTRANEOUS.search(complaint)
    excess, before = (int(found[1]), int(found[2], 16)) if found else (0, 0)
    parts: list[bytes] = []
    sequential = False
    for segment in segments(data):
        header = bytearray(data[segment.start : segment.pixels])
        sequential |= segment.marker in _SEQUENTIAL[:2]
        pixels = data[segment.pixels : segment.end]
        if segment.marker == _SOS:
            if sequential and len(header) > 6:
                header[-3:] = b"\x00\x3f\x00"
            if data[segment.end + 1] == before and excess < len(pixels):
                pixels, excess = pixels[: len(pixels) - excess], 0
        elif not _is_needed(header):
            continue
        parts += (_mended(header), pixels)
    return b"".join(parts)


def _end(data: mmap, marker: int, at: int) -> int:
    """Where a segment ends whose marker ends `at`."""
    if marker in (_SOI, _EOI, _TEM) or 0xD0 <= marker <= 0xD7:
        return at
    length = int.from_bytes(data[at : at + 2])
    if length < 2 or at + length > len(data):
        raise undecodable("the JPEG ends in the middle of a segment")
    return at + length


def _count(data: mmap, segment: Segment, tally: Tally) -> None:
    size = segment.pixels - segment.start
    if segment.marker in _FRAMES:
        if size < 10:
            raise undecodable("the size of the JPEG is missing")
        height, width = (int.from_bytes(data[segment.start + at : segment.start + at + 2]) for at in (5, 7))
        tally.frame(width, height)
    elif segment.marker == _ICC[0] and data[segment.start + 4 : segment.start + 16] == _ICC[1]:
        tally.profile(size)
    elif segment.marker in _APP or segment.marker == _COMMENT:
        tally.metadata(size)


def _is_needed(header: bytearray) -> bool:
    marker = header[1]
    if marker not in _APP:
        return marker != _COMMENT
    return any(marker == number and header[4:].startswith(name) for number, name in _NEEDED)


def _mended(header: bytearray) -> bytes:
    if header[1] == _JFIF[0] and len(header) > 10:
        header[9:11] = b"\x01\x02"  # the version
    elif header[1] == _ADOBE[0] and len(header) > 15 and header[15] > 2:
        header[15] = 1  # what libjpeg takes an unknown transform for, in three colours
    return bytes(header)
