"""Single files in compression: gzip, bzip2, xz. What they hold may be an archive that ClamAV does not open.

Each may be several such files, one after the other, which programs and ClamAV unpack as one: RFC 1952, 2.2; pbzip2
writes nothing else.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import unopenable
from worker.sandbox.containers.window import at

GZIP, BZIP2, XZ = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0"
_MOST_MEMORY = 128 * 1024 * 1024  # bytes, for an xz dictionary
_PIECE = 64 * 1024  # bytes
_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
_NO_MEMORY = "Memory usage limit"  # liblzma's words


def head(file: BinaryIO, size: int, allowance: Allowance) -> bytes:
    """The first bytes of what it holds; fewer where it is broken. Raises `Closed` where only ClamAV can unpack it."""
    found = b""
    try:
        for piece in _pieces(file, size, allowance):
            found += piece
            if len(found) >= size:
                break
    except _BROKEN as error:
        if _NO_MEMORY in str(error):
            raise unopenable("a compressed file in it takes too much memory to unpack") from error
    return found[:size]


def unpacked(file: BinaryIO, allowance: Allowance) -> BinaryIO:
    """All that it holds. Raises `Closed` where it is too much, or broken."""
    whole = io.BytesIO()
    try:
        for piece in _pieces(file, _PIECE, allowance):
            allowance.unpack(len(piece))
            whole.write(piece)
    except _BROKEN as error:
        raise unopenable("a compressed file in it is broken") from error
    return whole


def _pieces(file: BinaryIO, most: int, allowance: Allowance) -> Iterator[bytes]:
    """What comes out of all of them, at most `most` bytes at a time."""
    place = 0
    while (decompressor := _decompressor(at(file, place, 6))) is not None:
        while not decompressor.eof and (data := at(file, place, _PIECE)):
            place += len(data)
            yield from _out_of(decompressor, data, most)
            allowance.check_time()
        place -= len(decompressor.unused_data)
        while (padding := at(file, place, 4)) == bytes(4):  # the xz file format, 2.2
            place += len(padding)
            allowance.check_time()


def _out_of(decompressor: Any, data: bytes, most: int) -> Iterator[bytes]:
    while not decompressor.eof:
        piece = decompressor.decompress(data, most)
        data = getattr(decompressor, "unconsumed_tail", b"")
        if piece:
            yield piece
        if not piece or (not data and getattr(decompressor, "needs_input", len(piece) < most)):
            break


def _decompressor(beginning: bytes) -> Any:
    """None where none begins."""
    if beginning.startswith(GZIP):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if beginning.startswith(XZ):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY)
    return bz2.BZ2Decompressor() if beginning.startswith(BZIP2) else None
