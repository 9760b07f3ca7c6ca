"""A promoted file on its way to its place: whole and as it is on record, or not there."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lazaretto_client.faults import Problem
from lazaretto_client.records import Promoted

Target = str | os.PathLike[str] | BinaryIO
_LONGEST_NAME = 100  # characters of the name that the part's is made from; file systems take 255 bytes


@contextmanager
def opened(target: Target) -> Iterator[BinaryIO]:
    """The file or stream to write to. A path appears at the end of the block, or stays as it was."""
    if not isinstance(target, str | os.PathLike):
        yield target
        return
    place = Path(target)
    part = place.with_name(f".{place.name[:_LONGEST_NAME]}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


class Receiver:
    """Writes on what comes, and knows whether it is what was promised."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.rewindable = stream.seekable()
        self._start = stream.tell() if self.rewindable else 0

    def take(self, chunks: Iterator[bytes], promised: Promoted | None) -> None:
        """Write it all, in the place of what came before. Raises `Problem` where it is not what was promised."""
        if self.rewindable:
            self._stream.seek(self._start)
            self._stream.truncate()
        size, sha256 = 0, hashlib.sha256()
        for chunk in chunks:
            self._stream.write(chunk)
            size += len(chunk)
            sha256.update(chunk)
        if promised is None or (promised.size, promised.sha256) != (size, sha256.hexdigest()):
            raise Problem(0, "content_changed", "the object store gave other bytes than those on record")
