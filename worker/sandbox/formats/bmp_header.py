"""The header of a BMP (Microsoft: Bitmap Storage, BITMAPINFOHEADER, BITMAPV5HEADER)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from worker.sandbox.refusal import undecodable
from worker.sandbox.tally import Tally

_FILE_HEADER = 14  # bytes
_OLDEST = 12  # bytes of the oldest header, which has 16 bits for each side
_V5 = 124
_COMPRESSED = (1, 2)  # run lengths of 8 and of 4 bits
_CUT = "the BMP is cut"


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless what the header promises is within the limits, and in the file."""
    head = file.read(_FILE_HEADER + _V5)
    if head[:2] != b"BM" or len(head) < _FILE_HEADER + _OLDEST:
        raise undecodable("it does not begin like a BMP")
    start, size = struct.unpack_from("<II", head, 10)
    width, height, depth, compression, stored = _fields(head, size)
    tally.frame(width, height)
    end: int = start + (width * depth + 31) // 32 * 4 * height
    if compression in _COMPRESSED:
        end = min(start + stored, file.seek(0, 2))  # a number that many programs get wrong; the decoder sees a cut
    if size == _V5 and len(head) == _FILE_HEADER + _V5:
        offset, length = struct.unpack_from("<II", head, _FILE_HEADER + 112)
        tally.profile(length)
        end = max(end, _FILE_HEADER + offset + length if length else 0)
    if file.seek(0, 2) < end:
        raise undecodable(_CUT)
    return end


def _fields(head: bytes, size: int) -> tuple[int, int, int, int, int]:
    """Width, height, bits of a pixel, compression, and bytes of compressed pixels."""
    if size == _OLDEST:
        width, height, _, depth = struct.unpack_from("<HHHH", head, 18)
        return width, height, depth, 0, 0
    if size < 40 or len(head) < _FILE_HEADER + 40:
        raise undecodable(_CUT)
    width, height, _, depth, compression, stored = struct.unpack_from("<iiHHII", head, 18)
    return width, abs(height), depth, compression, stored  # a negative height: the first row is on top
