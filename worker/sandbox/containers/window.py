"""A part of a file as a file of its own: what lies uncompressed in an archive is read in place."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

_FARTHEST = 2**63 - 1  # bytes; of an offset


class _Window(io.RawIOBase):
    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer will do
        data = at(self._file, self._start + self._at, max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def window(file: BinaryIO, start: int, size: int) -> BinaryIO:
    """The `size` bytes of `file` from `start`; its position moves with every read."""
    return io.BufferedReader(_Window(file, start, size))


def at(file: BinaryIO, start: int, size: int) -> bytes:
    """Bytes by position; fewer at the end of the file, none where no file has any."""
    if not 0 <= start <= _FARTHEST:
        return b""
    file.seek(start)
    return file.read(size)


def size_of(file: BinaryIO) -> int:
    """In bytes."""
    return file.seek(0, os.SEEK_END)
