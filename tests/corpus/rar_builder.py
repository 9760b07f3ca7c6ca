"""RAR archives by hand: only WinRAR writes them. https://www.rarlab.com/technote.htm; for RAR 4, unrar's code."""

from __future__ import annotations

import struct
import zlib

_RAR4, _RAR5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_SALT = bytes(range(16))


def rar4(content: bytes = b"x" * 100, *, encrypted: bool = False, headers: bool = False) -> bytes:
    """One stored file; `encrypted`: with a password; `headers`: its name too."""
    main = _block4(0x73, 0x80 if headers else 0, bytes(6))
    if headers:
        return _RAR4 + main + _SALT[:8] + bytes(64)
    name = b"a.txt"
    flags = 0x8000 | (4 if encrypted else 0)
    fields = struct.pack(
        "<IIBIIBBHI", len(content), len(content), 3, zlib.crc32(content), 0x21, 29, 0x30, len(name), 0x20
    )
    return _RAR4 + main + _block4(0x74, flags, fields + name) + content + _block4(0x7B, 0x4000, b"")


def _block4(kind: int, flags: int, body: bytes) -> bytes:
    rest = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(rest) & 0xFFFF) + rest


def rar5(content: bytes = b"x" * 100, *, encrypted: bool = False, headers: bool = False) -> bytes:
    """One stored file; `encrypted`: with a password; `headers`: its name too."""
    main = _block5(_number(1) + _number(0) + _number(0))
    if headers:
        crypt = _block5(_number(4) + _number(0) + _number(0) + _number(0) + b"\x0f" + _SALT)
        return _RAR5 + crypt + _SALT + bytes(64)
    record = _number(1) + _number(0) + _number(0) + b"\x0f" + _SALT + _SALT
    extra = _number(len(record)) + record if encrypted else b""
    name = b"a.txt"
    fields = _number(4) + _number(len(content)) + _number(0x20) + struct.pack("<I", zlib.crc32(content))
    fields += _number(0) + _number(1) + _number(len(name)) + name
    begin = _number(2) + _number(3 if encrypted else 2)
    sizes = (_number(len(extra)) if encrypted else b"") + _number(len(content))
    end = _block5(_number(5) + _number(0) + _number(0))
    return _RAR5 + main + _block5(begin + sizes + fields + extra) + content + end


def _block5(body: bytes) -> bytes:
    sized = _number(len(body)) + body
    return struct.pack("<I", zlib.crc32(sized)) + sized


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
