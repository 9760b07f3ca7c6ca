"""RAR 4 and 5: is it encrypted? https://www.rarlab.com/technote.htm, and unrar's headers.hpp for RAR 4.

Whether it is or not, nobody looks into it: Debian's ClamAV has no unrar, and says OK to all of them.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from worker.sandbox.closed import Closed, encrypted, unopenable
from worker.sandbox.containers.window import at

RAR4, RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_MOST_BLOCKS = 1000
_MAIN4, _FILE4, _ENCRYPTED_HEADERS4, _ENCRYPTED_FILE4, _LONG4, _LARGE4 = 0x73, 0x74, 0x80, 4, 0x8000, 0x100
_FILE5, _SERVICE5, _ENCRYPTION5, _HAS_EXTRA5, _HAS_DATA5, _ENCRYPTION_RECORD5 = 2, 3, 4, 1, 2, 1


def check(file: BinaryIO) -> None:
    """Always raises `Closed`."""
    head = at(file, 0, 8)
    try:
        found = _encrypted5(file) if head.startswith(RAR5) else _encrypted4(file)
    except (struct.error, IndexError):
        found = False
    raise _closed(found)


def _closed(is_encrypted: bool) -> Closed:
    return encrypted("the RAR archive") if is_encrypted else unopenable("no scanner here unpacks RAR archives")


def _encrypted4(file: BinaryIO) -> bool:
    position = len(RAR4)
    for _ in range(_MOST_BLOCKS):
        header = at(file, position, 40)
        _, kind, flags, size = struct.unpack_from("<HBHH", header)
        if (kind == _MAIN4 and flags & _ENCRYPTED_HEADERS4) or (kind == _FILE4 and flags & _ENCRYPTED_FILE4):
            return True
        if kind == _FILE4 and flags & _LARGE4:
            size += struct.unpack_from("<I", header, 32)[0] << 32
        position += max(size, 7) + (struct.unpack_from("<I", header, 7)[0] if flags & _LONG4 or kind == _FILE4 else 0)
    return False


def _encrypted5(file: BinaryIO) -> bool:
    position = len(RAR5)
    for _ in range(_MOST_BLOCKS):
        header = at(file, position, 64 * 1024)
        size, start = _number(header, 4)
        kind, at_flags = _number(header, start)
        flags, place = _number(header, at_flags)
        extra, data = 0, 0
        if flags & _HAS_EXTRA5:
            extra, place = _number(header, place)
        if flags & _HAS_DATA5:
            data, place = _number(header, place)
        end = start + size
        if kind == _ENCRYPTION5 or (kind in (_FILE5, _SERVICE5) and _has_record(header[end - extra : end])):
            return True
        position += end + data
    return False


def _has_record(extra: bytes) -> bool:
    place = 0
    while place < len(extra):
        size, start = _number(extra, place)
        kind, _ = _number(extra, start)
        if kind == _ENCRYPTION_RECORD5:
            return True
        place = start + max(size, 1)
    return False


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A "vint", seven bits to a byte, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[place] & 0x7F) << shift
        place += 1
        if not data[place - 1] & 0x80:
            break
    return value, place
