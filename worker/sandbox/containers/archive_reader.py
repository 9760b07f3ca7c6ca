"""What the entries of an archive hold, by libarchive: the formats whose compression Python does not have.

`libarchive-c` gives its functions as they are. Its own readers make a callback for each archive, which takes memory
that can be executed, and no child gets any: so there are two callbacks for all archives, made by the server. One
format is asked for at a time, the one that clamd takes the file for, and no filter.
"""

from __future__ import annotations

import ctypes
import io
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple

from libarchive import ArchiveError, ffi

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import Closed, unopenable
from worker.sandbox.containers.window import at, size_of

_CHUNK = 64 * 1024  # bytes
_TYPE_BITS, _REGULAR = 0o170000, 0o100000  # AE_IFMT and AE_IFREG of archive_entry.h

ffi.logger.disabled = True  # it would print what the file says
_set_options = ffi.ffi("read_set_options", [ffi.c_archive_p, ctypes.c_char_p], ctypes.c_int, ffi.check_int)


class _Source:
    """A file that libarchive reads, and the bytes that it is looking at."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size, self._at, self._held = file, size_of(file), 0, b""

    def read(self) -> tuple[int, int]:
        """The next bytes: where they are in memory until the next call, and how many."""
        self._held = at(self._file, self._at, _CHUNK)
        self._at += len(self._held)
        return ctypes.cast(ctypes.c_char_p(self._held), ctypes.c_void_p).value or 0, len(self._held)

    def seek(self, offset: int, whence: int) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at


_sources: dict[int, _Source] = {}  # by the number that libarchive hands back to the callbacks
_numbers = itertools.count(1)


def _read(_archive: int, number: int, place: Any) -> int:
    try:
        place[0], size = _sources[number].read()
    except Exception:  # noqa: BLE001 - nothing may be raised into C; libarchive passes it on as a fault of the file
        return int(ffi.ARCHIVE_FATAL)
    return size


def _seek(_archive: int, number: int, offset: int, whence: int) -> int:
    try:
        return _sources[number].seek(offset, whence)
    except Exception:  # noqa: BLE001 - likewise
        return int(ffi.ARCHIVE_FATAL)


_READ, _SEEK = ffi.READ_CALLBACK(_read), ffi.SEEK_CALLBACK(_seek)


class Content(NamedTuple):
    """One entry's data; to be read before the next one is asked for."""

    archive: int
    size: int  # bytes, as the archive says
    head: bytes
    allowance: Allowance | None  # None: its bytes are counted already

    def open(self) -> BinaryIO:
        """All of it, unpacked. Raises `Closed` where it is too much, or broken."""
        whole = io.BytesIO(self.head)
        whole.seek(0, os.SEEK_END)
        while piece := _piece(self.archive):
            if whole.tell() + len(piece) > self.size:
                raise unopenable("a file in an archive is larger than it says")
            if self.allowance is not None:
                self.allowance.unpack(len(piece))
            whole.write(piece)
        return whole


def contents(
    file: BinaryIO, form: str, head: int, allowance: Allowance, *, solid: bool = False, options: str = ""
) -> Iterator[Content]:
    """Every file in it, with its first `head` bytes or more. Raises `Closed` where that cannot be told, or is too much.

    form: "7zip" for `archive_read_support_format_7zip`. solid: what is skipped must be unpacked all the same.
    options: see archive_read_set_options(3).
    """
    with _opened(file, form, options) as archive:
        entry = ctypes.c_void_p()
        while ffi.read_next_header(archive, ctypes.byref(entry)) != ffi.ARCHIVE_EOF:
            size = max(0, ffi.entry_size(entry))
            allowance.count(1, 0, size)
            if solid:
                allowance.unpack(size)
            if ffi.entry_filetype(entry) & _TYPE_BITS == _REGULAR:
                yield Content(archive, size, _beginning(archive, head), None if solid else allowance)


@contextmanager
def _opened(file: BinaryIO, form: str, options: str) -> Iterator[int]:
    number = next(_numbers)
    _sources[number], archive = _Source(file), ffi.read_new()
    try:
        ffi.get_read_format_function(form)(archive)
        _set_options(archive, options.encode())
        ffi.read_set_seek_callback(archive, _SEEK)
        ffi.read_open(archive, number, ffi.NO_OPEN_CB, _READ, ffi.NO_CLOSE_CB)
        yield archive
    except ArchiveError as error:
        raise _unreadable() from error
    finally:
        with suppress(ArchiveError):  # of what was wrong before
            ffi.read_free(archive)
        del _sources[number]


def _beginning(archive: int, size: int) -> bytes:
    """At least so many bytes, if there are."""
    head = b""
    while len(head) < size and (piece := _piece(archive)):
        head += piece
    return head


def _piece(archive: int) -> bytes:
    """The next bytes of the entry; none at its end. Where they belong is not asked: libarchive 3.6 tells it wrong of
    xar, and its other function, archive_read_data(3), fills up what seems to be missing with zeros.
    """
    data, size, offset = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_longlong()
    try:
        while (code := ffi.read_data_block(archive, data, size, offset)) == ffi.ARCHIVE_OK:
            if size.value:
                return ctypes.string_at(data, size.value)
    except ArchiveError as error:
        raise _unreadable() from error
    if code != ffi.ARCHIVE_EOF:  # a mere warning says that it was left out: so of LHA's older methods
        raise _unreadable()
    return b""


def _unreadable() -> Closed:
    return unopenable("an archive in it is broken, or of a kind that cannot be looked into")
