"""tar: where its members lie. POSIX 1003.1, "ustar Interchange Format"; the same places in GNU's and in older ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from worker.sandbox.closed import unopenable
from worker.sandbox.containers.window import at, window

MAGIC, MAGIC_AT = b"ustar", 257
_BLOCK = 512  # bytes
_MOST_MEMBERS = 100_000  # ClamAV's MaxFiles


def members(file: BinaryIO) -> Iterator[BinaryIO]:
    """Each member's data. Raises `Closed` where they are too many, or cannot be followed."""
    position = 0
    for _ in range(_MOST_MEMBERS):
        header = at(file, position, _BLOCK)
        if len(header) < _BLOCK or not header.strip(b"\0"):
            return
        size = _size(header[124:136])
        yield window(file, position + _BLOCK, size)
        position += _BLOCK + -(-size // _BLOCK) * _BLOCK
    raise unopenable(f"it holds more than {_MOST_MEMBERS} files")


def _size(field: bytes) -> int:
    if field[0] & 0x80:  # GNU: binary
        return int.from_bytes(field[1:])
    try:
        return max(0, int(field.strip(b" \0") or b"0", 8))
    except ValueError as error:
        raise unopenable("a tar archive in it is broken") from error
