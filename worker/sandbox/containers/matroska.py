"""Matroska and WebM: which of the two, by the header's own word. RFC 8794 (EBML), 11.2.4 and RFC 9559."""

from __future__ import annotations

from typing import BinaryIO

from worker.sandbox.containers.window import at

_EBML, _SEGMENT, _DOC_TYPE = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x42\x82"
_LARGEST_HEADER = 4096  # bytes
_TYPES = {b"webm": "video/webm", b"matroska": "video/x-matroska"}
UNKNOWN = "application/octet-stream"


def inner_type(file: BinaryIO) -> str | None:
    """By the header; something else altogether where that is not one, or no segment follows."""
    head = at(file, 0, _LARGEST_HEADER)
    if not head.startswith(_EBML):
        return None
    size, start = _number(head, 4)
    place, end, found = start, min(start + size, len(head)), UNKNOWN
    while place < end:
        identity = head[place : place + _width(head, place)]
        size, data = _number(head, place + len(identity))
        if identity == _DOC_TYPE:
            found = _TYPES.get(head[data : data + size].rstrip(b"\0"), UNKNOWN)
        place = data + size
    return found if head[end : end + 4] == _SEGMENT else UNKNOWN


def _width(data: bytes, place: int) -> int:
    return 9 - max(1, data[place].bit_length()) if place < len(data) else 1


def _number(data: bytes, place: int) -> tuple[int, int]:
    width = _width(data, place)
    value = int.from_bytes(data[place : place + width]) & ((1 << 7 * width) - 1)
    return value, place + width
