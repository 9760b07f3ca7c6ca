"""MPEG audio and AAC: a tag that says "music follows", or two bytes, are all that libmagic looks at.

ID3v2: https://id3.org/id3v2.4.0-structure. Frames: ISO/IEC 11172-3, 2.4.1.3 and ISO/IEC 14496-3, 1.A.2.2 (ADTS).
"""

from __future__ import annotations

import re
from typing import BinaryIO

from worker.sandbox.containers.window import at

_LOOKED_AT = 64 * 1024  # bytes behind the tag: some programs pad
_FRAMES = 2  # that must follow each other
_MOST_TAGS = 8
_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_RATES = (44100, 48000, 32000)
_BITS = {  # kbit/s, by MPEG 1 or later, and layer; ISO/IEC 11172-3 and 13818-3
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def inner_type(file: BinaryIO) -> str | None:
    """What the frames are, behind any tags; None without frames."""
    place = 0
    for _ in range(_MOST_TAGS):
        head = at(file, place, 10)
        if not head.startswith(b"ID3") or len(head) < 10:
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        place += 10 + size + (10 if head[5] & 0x10 else 0)
    data = at(file, place, _LOOKED_AT)
    if data.startswith(b"fLaC"):
        return "audio/flac"
    return next((found for match in _SYNC.finditer(data) if (found := _frames(data, match.start()))), None)


def _frames(data: bytes, place: int) -> str | None:
    """The type, if here one frame follows another, or one ends with the file."""
    kinds = set[str]()
    for _ in range(_FRAMES):
        header = data[place : place + 7]
        if not header and kinds:
            break
        kind, size = _frame(header)
        if kind is None or size < 7:
            return None
        kinds.add(kind)
        place += size
    return kinds.pop() if len(kinds) == 1 else None


def _frame(header: bytes) -> tuple[str | None, int]:
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None, 0
    layer = 4 - (header[1] >> 1 & 3)
    if layer == 4:  # ADTS
        size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        return ("audio/aac", size) if header[1] & 0xF0 == 0xF0 and header[2] >> 2 & 15 < 13 else (None, 0)
    version, rate, bits = header[1] >> 3 & 3, header[2] >> 2 & 3, header[2] >> 4
    if version == 1 or rate == 3 or not 0 < bits < 15:
        return None, 0
    step = {3: 1, 2: 2, 0: 4}[version]
    table = _BITS[(1, layer)] if step == 1 else _BITS[(2, min(layer, 2))]
    hertz, padding = _RATES[rate] // step, header[2] >> 1 & 1
    if layer == 1:
        return "audio/mpeg", (12_000 * table[bits - 1] // hertz + padding) * 4
    factor = 72_000 if layer == 3 and step > 1 else 144_000
    return "audio/mpeg", factor * table[bits - 1] // hertz + padding
