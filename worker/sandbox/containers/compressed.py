"""Single files in compression: gzip, bzip2, xz. What they hold may be an archive that ClamAV does not open."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import Any, BinaryIO

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import unopenable
from worker.sandbox.containers.window import at

GZIP, BZIP2, XZ = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0"
_HEAD_IN = 1024 * 1024  # bytes; bzip2 gives nothing before a whole block, of 900 kB and little more if it is noise
_MOST_MEMORY = 128 * 1024 * 1024  # bytes, for an xz dictionary
_CHUNK = 1024 * 1024  # bytes
_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def head(file: BinaryIO, size: int) -> bytes:
    """The first bytes of what it holds; none where they cannot be had."""
    try:
        return bytes(_decompressor(file).decompress(at(file, 0, _HEAD_IN), size))
    except _BROKEN:
        return b""


def unpacked(file: BinaryIO, allowance: Allowance) -> BinaryIO:
    """All that it holds. Raises `Closed` where it is too much, or broken."""
    decompressor, whole, position = _decompressor(file), io.BytesIO(), 0
    try:
        while not decompressor.eof and (data := at(file, position, _CHUNK)):
            position += len(data)
            while not decompressor.eof:
                piece = decompressor.decompress(data, _CHUNK)
                data = getattr(decompressor, "unconsumed_tail", b"")
                allowance.unpack(len(piece))
                whole.write(piece)
                if not piece or (not data and getattr(decompressor, "needs_input", len(piece) < _CHUNK)):
                    break
    except _BROKEN as error:
        raise unopenable("a compressed file in it is broken") from error
    return whole


def _decompressor(file: BinaryIO) -> Any:
    beginning = at(file, 0, 6)
    if beginning.startswith(GZIP):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if beginning.startswith(XZ):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY)
    return bz2.BZ2Decompressor()
