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

from worker.errors import Permanent, ScratchChanged, Transient, Unavailable

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class ScratchFull(Unavailable):
    """The worker's scratch space is full; trying again later can help."""

    code = "scratch_full"


class ScratchOutgrown(Transient):
    """Re-encoded, the image does not fit into the worker's scratch space."""

    code = "scratch_outgrown"


class Scratch:
    """One file: written, then frozen, then read by position through `descriptor` by whoever examines it."""

    def __init__(self, expected_size: int, *, memory_limit: int, directory: Path | None) -> None:
        """Sizes in bytes. `directory`: for files above `memory_limit`; None: the system's own. Raises `ScratchFull`."""
        self._expected_size, self._directory = expected_size, directory
        self._in_memory = expected_size <= memory_limit
        self.descriptor = _memory_file() if self._in_memory else _nameless_file(directory)

    def write(self, chunk: bytes) -> None:
        """Append. Raises `ScratchFull`, and `Permanent` for a file that could never fit."""
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as fault:
            room = self._room()
            if room.f_blocks * room.f_frsize < self._expected_size and not self._in_memory:
                raise Permanent(
                    f"scratch holds {room.f_blocks * room.f_frsize} bytes in all, too few for {self._expected_size}",
                    expected="LAZARETTO_SCRATCH_DIR on a larger disk",
                ) from fault
            raise ScratchFull(_told(fault)) from fault

    def overflow(self, beside: int) -> Transient | None:
        """Why nothing more can be written; None where its disk has room, or it is in none.

        `ScratchOutgrown` where it takes up half of that disk, together with the `beside` bytes that its own scan has
        there; otherwise others are to blame, and there will be room when they have ended.
        """
        room = self._room()
        if self._in_memory or room.f_bavail > 0:
            return None
        own = self.size + beside
        return ScratchOutgrown() if own * 2 > room.f_blocks * room.f_frsize else ScratchFull()

    def _room(self) -> os.statvfs_result:
        return os.fstatvfs(self.descriptor)

    def freeze(self, *, shared: bool = False) -> None:
        """From here on nobody can change it. Raises `ScratchFull`, and `ScratchChanged` while somebody may still.

        `shared`: somebody else has had the descriptor. A hijacked decoder may have handed it on to a process that
        outlives it, so on disk only a copy is surely nobody else's.
        """
        if self._in_memory:
            self._seal()
        elif shared:
            self._copy()
        writable = self.descriptor
        self.descriptor = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
        os.close(writable)

    def _seal(self) -> None:
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except OSError as fault:  # EBUSY: whoever was given the descriptor has it in memory, writable
            raise ScratchChanged("somebody else still writes to it; trying again can help") from fault

    def _copy(self) -> None:
        shared, size = self.descriptor, self.size
        own = _nameless_file(self._directory)
        try:
            while (at := os.fstat(own).st_size) < size and os.sendfile(own, shared, at, size - at):
                pass
        except OSError as fault:
            obstacle = self.overflow(beside=size)
            os.close(own)
            raise obstacle or ScratchFull(_told(fault)) from fault
        self.descriptor = own
        os.close(shared)

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
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            return os.dup(file.fileno())
    except OSError as fault:
        raise ScratchFull(_told(fault)) from fault


def _told(fault: OSError) -> str:
    return f"cannot write to scratch ({fault}); trying again later can help"
