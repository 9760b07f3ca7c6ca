"""What the entries of a zip hold, unpacked within bounds. Method numbers: APPNOTE.TXT 4.4.5."""

from __future__ import annotations

import bz2
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import encrypted, unopenable
from worker.sandbox.containers import zip_directory
from worker.sandbox.containers.window import at, window
from worker.sandbox.containers.zip_directory import Directory, Entry

_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
# What ClamAV unpacks, and Python too. Imploded and deflate64 entries ClamAV unpacks, but what archives they are, and
# whether it can open those, nobody sees; to anything else it says OK, unseen.
_OPENABLE = frozenset({_STORED, _DEFLATED, _BZIP2})
_ENCRYPTED_FLAG, _STRONG_FLAG, _MASKED_FLAG = 1, 1 << 6, 1 << 13  # 4.4.4
_AES = 99  # WinZip's
_LARGEST = 2**31 - 3  # bytes; ClamAV skips larger entries without a word
_DEFLATE_RATIO = 1032  # at most; zlib's technical details, "Maximum Compression Factor"
_MOST_BZIP2 = 256 * 1024 * 1024  # bytes unpacked, of one entry: it takes 30 times as long as deflate
_BROKEN = (zlib.error, OSError, EOFError, ValueError)
_CHUNK = 1024 * 1024  # bytes


class Content(NamedTuple):
    """One entry's data."""

    file: BinaryIO  # the archive
    entry: Entry
    start: int

    def head(self, size: int) -> bytes:
        """The first bytes. Raises `Closed` where it is broken."""
        return self.read(size)

    def open(self, allowance: Allowance) -> BinaryIO:
        """All of it. Raises `Closed` where it is too much, or broken."""
        if self.entry.method == _STORED:
            return window(self.file, self.start, self.entry.packed)
        allowance.unpack(self.entry.size)
        whole = self.read(self.entry.size + 1)
        if len(whole) > self.entry.size:
            raise unopenable("an entry of the archive is larger than it says")
        return io.BytesIO(whole)

    def read(self, most: int) -> bytes:
        """At most the first `most` bytes. Raises `Closed` where it is broken."""
        parts, left, step = [], most, min(most, _CHUNK)
        try:
            for piece in self._pieces(step, step):
                parts.append(piece[:left])
                left -= len(piece)
                if left <= 0:
                    break
        except _BROKEN as error:
            raise unopenable("an entry of the archive is broken") from error
        return b"".join(parts)

    def check_size(self, allowance: Allowance) -> None:
        """Raises `Closed` where more comes out than is told, and may be more than ClamAV looks at; or, by bzip2, less:
        ClamAV and Python end with the first of several streams, others go on."""
        entry = self.entry
        if entry.method == _STORED:
            if entry.packed != entry.size:
                raise unopenable("an entry of the archive tells its size in two ways")
            return
        if entry.method != _BZIP2 and entry.packed * _DEFLATE_RATIO <= _LARGEST:
            return
        if entry.method == _BZIP2 and entry.size > _MOST_BZIP2:
            raise unopenable("an entry of the archive is compressed in a way that hides how large it is")
        if entry.size != self._counted(entry.size, allowance):
            raise unopenable("an entry of the archive is of another size than it says")

    def _counted(self, most: int, allowance: Allowance) -> int:
        """How many bytes come out; where they are more than `most`, not all are counted."""
        count = 0
        try:
            for piece in self._pieces(_CHUNK, _CHUNK):
                allowance.check_time()
                count += len(piece)
                if count > most:
                    break
        except _BROKEN as error:
            raise unopenable("an entry of the archive is broken") from error
        return count

    def _pieces(self, taken: int, most: int) -> Iterator[bytes]:
        """What comes out, in pieces of at most `most` bytes, while `taken` bytes at a time go in."""
        unpacked = _Unpacked(self.entry.method)
        position, end = self.start, self.start + self.entry.packed
        while position < end and (data := at(self.file, position, min(taken, end - position))):
            position += len(data)
            yield from unpacked.pieces(data, most)


class _Unpacked:
    """A decompressor that never gives more at a time than it is asked for."""

    def __init__(self, method: int) -> None:
        self._method = method
        self._deflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._bzip2 = bz2.BZ2Decompressor()

    def pieces(self, data: bytes, most: int) -> Iterator[bytes]:
        if self._method == _STORED:
            yield data
        elif self._method == _DEFLATED:
            while data and not self._deflate.eof:
                yield self._deflate.decompress(data, most)
                data = self._deflate.unconsumed_tail
        else:
            while not self._bzip2.eof:
                yield self._bzip2.decompress(data, most)
                data = b""
                if self._bzip2.needs_input:
                    break


def contents(file: BinaryIO, directory: Directory, allowance: Allowance) -> Iterator[Content]:
    """Every entry that holds something. Raises `Closed` where nobody could look into one."""
    entries = directory.entries
    empty = sum(not each.packed for each in entries)
    allowance.count(len(entries), empty, sum(each.size for each in entries))
    for entry, start in zip_directory.places(file, directory):
        _check_openable(entry)
        content = Content(file, entry, start)
        allowance.check_time()
        content.check_size(allowance)
        if entry.packed:
            yield content


def _check_openable(entry: Entry) -> None:
    if entry.flags & (_ENCRYPTED_FLAG | _STRONG_FLAG | _MASKED_FLAG) or entry.method == _AES:
        raise encrypted("an entry of the archive")
    if entry.method not in _OPENABLE:
        raise unopenable("an entry of the archive is compressed in a way that nobody can look through")
    if entry.size > _LARGEST:
        raise unopenable("an entry of the archive is larger than the scanner can look into")
