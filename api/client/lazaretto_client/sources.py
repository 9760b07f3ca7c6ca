"""A file to send: piece by piece, and once more where it can be rewound."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from lazaretto_client.faults import LazarettoError

File = str | os.PathLike[str] | bytes | BinaryIO
Progress = Callable[[int, int | None], object]

_CHUNK = 256 * 1024  # bytes in memory at once


class Source:
    """What is uploaded: a path, bytes, or a binary stream from where it stands to its end.

    `size` is in bytes, None where only the end will tell (pipes, sockets). `repeatable`: can it be sent (again)?
    """

    def __init__(self, file: File, progress: Progress | None = None) -> None:
        """`progress` is called with the bytes sent so far, and the size. Raises `OSError` where there is no file."""
        self.size: int | None = None
        self.repeatable = True
        self._file = io.BytesIO(file) if isinstance(file, bytes) else file
        self._progress = progress
        self._start = 0
        if isinstance(self._file, str | os.PathLike):
            found = Path(self._file).stat()
            self._rewindable = stat.S_ISREG(found.st_mode)
            self.size = found.st_size if self._rewindable else None
        else:
            self._rewindable = self._file.seekable()
            self._measure(self._file)

    @property
    def name(self) -> str:
        """The name of the file, without folders; empty where it has none."""
        named = self._file if isinstance(self._file, str | os.PathLike) else getattr(self._file, "name", "")
        return Path(named).name if isinstance(named, str | os.PathLike) else ""

    def chunks(self) -> Iterator[bytes]:
        """The bytes, from the start. Raises `LazarettoError` where they are fewer than they were."""
        sent = 0
        with self._opened() as file:
            if self._rewindable:
                file.seek(self._start)
            while chunk := file.read(_CHUNK if self.size is None else min(_CHUNK, self.size - sent)):
                self.repeatable = self._rewindable
                sent += len(chunk)
                yield chunk
                if self._progress is not None:
                    self._progress(sent, self.size)
        if self.size is not None and sent < self.size:
            raise LazarettoError(f"the file became shorter while it was sent: {sent} of {self.size} bytes")

    def _opened(self) -> AbstractContextManager[BinaryIO]:
        if isinstance(self._file, str | os.PathLike):
            return Path(self._file).open("rb")
        return nullcontext(self._file)

    def _measure(self, stream: BinaryIO) -> None:
        if self._rewindable:
            self._start = stream.tell()
            self.size = max(0, stream.seek(0, os.SEEK_END) - self._start)
            stream.seek(self._start)
