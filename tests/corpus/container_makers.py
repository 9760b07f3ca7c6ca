"""How the archives are made that clamd opens beside zip, tar and their like: 7z, cab, iso and older ones."""

from __future__ import annotations

import struct
import zlib

import libarchive

Entry = tuple[str, bytes]
_BLOCK = 32 * 1024  # bytes of a cabinet that are compressed at a time
_STORED, _MSZIP = 0, 1  # [MS-CAB] 2.1, typeCompress


def written(form: str, *entries: Entry, options: str = "") -> bytes:
    """By libarchive: "7zip", "cpio_newc", "cpio" (odc), "iso9660", "ar_bsd", "xar", "warc".

    options: see archive_write_set_options(3).
    """
    pieces: list[bytes] = []

    def write(data: bytes) -> int:
        pieces.append(bytes(data))
        return len(data)

    with libarchive.custom_writer(write, form, options=options) as archive:
        for name, data in entries:
            archive.add_file_from_memory(name, len(data), data)
    return b"".join(pieces)


def cabinet(*entries: Entry, packed: bool = True) -> bytes:
    """One folder with all files, in MSZIP or stored. [MS-CAB] 2.1 to 2.4"""
    whole = b"".join(data for _, data in entries)
    blocks = [whole[start : start + _BLOCK] for start in range(0, len(whole), _BLOCK)]
    data = b"".join(_cabinet_block(each, packed) for each in blocks)
    files, offset = b"", 0
    for name, content in entries:
        files += struct.pack("<IIHHHH", len(content), offset, 0, 0x5A21, 0, 0x20) + name.encode() + b"\0"
        offset += len(content)
    start = 36 + 8 + len(files)
    header = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, start + len(data), 0, 44, 0, 3, 1, 1, len(entries), 0, 7, 0)
    return header + struct.pack("<IHH", start, len(blocks), _MSZIP if packed else _STORED) + files + data


def _cabinet_block(data: bytes, packed: bool) -> bytes:
    out = data
    if packed:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        out = b"CK" + deflate.compress(data) + deflate.flush()
    return struct.pack("<IHH", 0, len(out), len(data)) + out


def lha(*entries: Entry) -> bytes:
    """Stored, with headers of level 0. http://lha.osdn.jp/ (header.doc.txt of LHa for UNIX)"""
    archive = b""
    for name, data in entries:
        fields = struct.pack("<5sIIIBBB", b"-lh0-", len(data), len(data), 0x5A210000, 0x20, 0, len(name))
        fields += name.encode() + struct.pack("<H", _crc16(data))
        archive += bytes([len(fields), sum(fields) & 0xFF]) + fields + data
    return archive + b"\0"


def _crc16(data: bytes) -> int:
    crc = 0
    for each in data:
        crc ^= each
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def arj(*entries: Entry) -> bytes:
    """Stored. technote.txt of ARJ 3.10"""
    archive = _arj_header(b"a.arj", 2, 2, 0, 0, 0)
    for name, data in entries:
        archive += _arj_header(name.encode(), 0, 0, len(data), len(data), zlib.crc32(data)) + data
    return archive + b"\x60\xea\0\0"


def _arj_header(name: bytes, method: int, kind: int, packed: int, size: int, crc: int) -> bytes:
    fields = struct.pack("<8B4I3H", 30, 11, 1, 0, 0, method, kind, 0, 0x5A210000, packed, size, crc, 0, 0, 0)
    fields += name + b"\0" + b"\0"
    return b"\x60\xea" + struct.pack("<H", len(fields)) + fields + struct.pack("<IH", zlib.crc32(fields), 0)


def binary_cpio(*entries: Entry, order: str = "<") -> bytes:
    """The first form, a number's lower byte first, or (">") the higher one. cpio(5), "Old Binary Format"."""
    archive = b""
    for name, data in (*entries, ("TRAILER!!!", b"")):
        encoded = name.encode() + b"\0"
        fields = (0o070707, 1, 1, 0o100644, 0, 0, 1, 0, 0, 0, len(encoded), len(data) >> 16, len(data) & 0xFFFF)
        for part in (struct.pack(f"{order}13H", *fields), encoded, data):
            archive += part + bytes(len(part) % 2)
    return archive


def rpm(payload: bytes) -> bytes:
    """Lead, two empty headers, and what they are about. rpm's format.md"""
    lead = struct.pack(">4sBBHH66sHH16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"a-1-1", 1, 5)
    return lead + (b"\x8e\xad\xe8\1" + bytes(12)) * 2 + payload
