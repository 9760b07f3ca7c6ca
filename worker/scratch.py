"""Where a file lies while it is examined: in memory when small, in a nameless file otherwise.

Neither has a name, so nothing stays behind, whatever kills the worker: the kernel frees both with the process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

from worker.errors import Transient

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class ScratchFull(Transient):
    """The worker's scratch space is full; trying again later can help."""

    code = "scratch_full"
    counts = False


class Scratch:
    """One file: written, then frozen, then read by position through `descriptor` by whoever examines it."""

    def __init__(self, expected_size: int, *, memory_limit: int, directory: Path | None) -> None:
        """Sizes in bytes. `directory`: for files above `memory_limit`; None: the system's own."""
        self._in_memory = expected_size <= memory_limit
        self.descriptor = _memory_file() if self._in_memory else _nameless_file(directory)

    def write(self, chunk: bytes) -> None:
        """Append. Raises `ScratchFull`."""
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as fault:
            raise ScratchFull(f"cannot write to scratch ({fault}); trying again later can help") from fault

    def freeze(self) -> None:
        """From here on nobody can change it, not even a hijacked decoder that holds the descriptor."""
        if self._in_memory:
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        writable = self.descriptor
        self.descriptor = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
        os.close(writable)

    @property
    def size(self) -> int:
        """Bytes written so far, by whomever."""
        return os.fstat(self.descriptor).st_size

    def sha256(self) -> str:
        """Of the whole file, in hex."""
        with self.reader() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def reader(self) -> BufferedReader:
        """A file object of its own, at the start."""
        return Path(f"/proc/self/fd/{self.descriptor}").open("rb")

    def close(self) -> None:
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _memory_file() -> int:
    return os.memfd_create("lazaretto", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _nameless_file(directory: Path | None) -> int:
    with tempfile.TemporaryFile(dir=directory) as file:
        return os.dup(file.fileno())
