"""7z archives by hand, with as many bytes in them as one likes. 7zFormat.txt of the LZMA SDK."""

from __future__ import annotations

import lzma
import struct
import zlib

_RUN = 2 * 1024 * 1024  # bytes: what one chunk of LZMA2 holds
_DICTIONARY = 22  # LZMA2's property for 8 MiB


def zeros(runs: int, last: bytes = b"") -> bytes:
    """One solid stream: a file of `runs` times 2 MiB of zeros, and another one behind it."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
    # Each chunk begins anew, so that any number of them makes a stream; a zero ends it.
    one = lzma.compress(bytes(_RUN), lzma.FORMAT_RAW, filters=filters).removesuffix(b"\0")
    packed = one * runs + lzma.compress(last, lzma.FORMAT_RAW, filters=filters)
    sizes = [runs * _RUN, len(last)]
    names = "".join(f"{name}\0" for name in ("a.bin", "b.bin")).encode("utf-16-le")
    header = b"\x01\x04\x06" + _number(0) + b"\x01\x09" + _number(len(packed)) + b"\0"  # pack information
    header += b"\x07\x0b\x01\0\x01\x21\x21\x01" + bytes([_DICTIONARY]) + b"\x0c" + _number(sum(sizes)) + b"\0"
    header += b"\x08\x0d\x02\x09" + _number(sizes[0]) + b"\0\0"  # substreams; then the files
    header += b"\x05\x02\x11" + _number(len(names) + 1) + b"\0" + names + b"\0\0"
    start = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + packed + header


def _number(value: int) -> bytes:
    """In the longest form, which holds any."""
    return b"\xff" + value.to_bytes(8, "little")
