"""How far one look into a file goes: bounds on everything in it together, however deep it lies. Runs in the child."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from worker.sandbox.closed import too_slow, unopenable

_DEEPEST = 6  # containers in one another; people send two or three, ClamAV follows 17
_ENTRIES = 100_000  # in all archives together: ClamAV's MaxFiles (ops/clamav/clamd.conf)
# Stored entries without content: ClamAV does not count them, and compares each with every other: 4,000 take it 2 s,
# 8,000 take 16 s, 20,000 take 90 s.
_EMPTY_ENTRIES = 5_000
# What is unpacked here to be looked into, and in memory at once: an archive, and those in it. Larger ones that were not
# compressed again in the outer archive are read where they lie, at no cost.
_UNPACKED = 256 * 1024 * 1024  # bytes
_UNPACKED_SIZE = 4096 * 1024 * 1024  # bytes that all entries of all archives claim: ClamAV's MaxScanSize
# Of processor time, so that a busy machine is not the file's fault. 2 GiB of documents in a zip take 3 s; what takes
# more is made for that: 100,000 tiny bzip2 files, in each of which nothing can be told before a block is unpacked.
# Well below LAZARETTO_SANDBOX_SECONDS, beyond which nobody hears what was found.
_SECONDS = 20.0


class Allowance:
    """What is left of the bounds. Each method raises `Closed` where one is used up."""

    def __init__(self) -> None:
        self.depth = 0
        self._entries, self._empty, self._unpacked, self._claimed = _ENTRIES, _EMPTY_ENTRIES, _UNPACKED, _UNPACKED_SIZE
        self._until = time.process_time() + _SECONDS

    def enter(self) -> None:
        """One container deeper; whoever enters also leaves."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise unopenable(f"it holds archives in one another more than {_DEEPEST} deep")

    def leave(self) -> None:
        self.depth -= 1

    def count(self, entries: int, empty: int, size: int) -> None:
        """An archive lists so many entries, so many of them stored and empty, of so many bytes once unpacked."""
        self._entries -= entries
        self._empty -= empty
        self._claimed -= size
        if self._empty < 0:
            raise unopenable(f"it holds more than {_EMPTY_ENTRIES} empty entries", exhausting=True)
        if self._entries < 0:
            raise unopenable(f"it holds more than {_ENTRIES} entries")
        if self._claimed < 0:
            raise unopenable(f"it unpacks to more than {_UNPACKED_SIZE} bytes")

    def unpack(self, size: int) -> None:
        """So many bytes come out of compression to be looked into."""
        self.check_time()
        self._unpacked -= size
        if self._unpacked < 0:
            raise unopenable(f"it holds more than {_UNPACKED} bytes of archives that were compressed again")

    @contextmanager
    def holding(self) -> Iterator[None]:
        """What is unpacked within is let go of at its end."""
        unpacked = self._unpacked
        yield
        self._unpacked = unpacked

    def check_time(self) -> None:
        """For every loop whose length is the file's to say."""
        if time.process_time() > self._until:
            raise too_slow(_SECONDS)
