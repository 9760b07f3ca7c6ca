"""Single files in compression: gzip, bzip2, xz. What they hold may be an archive that ClamAV does not open.

Each may be several, one after the other, that unpack to one. RFC 1952, 2.2; xz-file-format.txt, 2.2
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import unopenable
from worker.sandbox.containers.window import at

GZIP, BZIP2, XZ = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0"
_BZIP2_STREAM = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")  # with the first block, or the end of an empty one
_BZIP2_START = 10  # bytes
_LONGEST_SIGNATURE = 6  # bytes
_MOST_MEMORY = 128 * 1024 * 1024  # bytes, for an xz dictionary
_MOST_MEMBERS = 10_000  # genome files have one for each 64 KiB
_LONGEST_PADDING = 64 * 1024  # bytes between them
_CHUNK_IN, _CHUNK_OUT = 64 * 1024, 1024 * 1024  # bytes
_NO_MEMORY = "Memory usage limit"  # liblzma's words
_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def check(file: BinaryIO) -> None:
    """Raises `Closed` for bzip2 in several streams, as parallel programs write it: ClamAV 1.4.6 says OK to all of it,
    and has seen the first."""
    place, kept = 1, b""
    while at(file, 0, len(BZIP2)) == BZIP2 and (data := at(file, place, _CHUNK_OUT)):
        if _BZIP2_STREAM.search(kept + data):
            raise unopenable("a bzip2 file in it has several streams, of which the scanner sees the first")
        place, kept = place + len(data), data[1 - _BZIP2_START :]


def head(file: BinaryIO, size: int, allowance: Allowance) -> bytes:
    """The first bytes of what it holds, up to a fault where it is broken. Raises `Closed` where only ClamAV
    can unpack it."""
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
        for piece in _pieces(file, _CHUNK_OUT, allowance):
            allowance.unpack(len(piece))
            whole.write(piece)
    except _BROKEN as error:
        raise unopenable("a compressed file in it is broken") from error
    return whole


def _pieces(file: BinaryIO, most: int, allowance: Allowance) -> Iterator[bytes]:
    """What comes out, in pieces of at most `most` bytes. What follows the last member is nobody's."""
    place = 0
    for _ in range(_MOST_MEMBERS):
        decompressor = _decompressor(at(file, place, _LONGEST_SIGNATURE))
        if decompressor is None:
            return
        data = b""
        while not decompressor.eof:
            allowance.check_time()
            if not data and getattr(decompressor, "needs_input", True):
                data = at(file, place, _CHUNK_IN)
                place += len(data)
                if not data:
                    return
            yield decompressor.decompress(data, most)
            data = getattr(decompressor, "unconsumed_tail", b"")
        place -= len(decompressor.unused_data)
        padding = at(file, place, _LONGEST_PADDING)
        place += len(padding) - len(padding.lstrip(b"\0"))
    raise unopenable(f"a compressed file in it has more than {_MOST_MEMBERS} parts")


def _decompressor(beginning: bytes) -> Any:
    """None where nothing begins."""
    if beginning.startswith(GZIP):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if beginning.startswith(XZ):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY)
    return bz2.BZ2Decompressor() if beginning.startswith(BZIP2) else None
