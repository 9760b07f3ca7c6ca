"""Zip archives byte by byte, for everything that no program would write. APPNOTE.TXT 4.3."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field

STORED, DEFLATED, DEFLATED64, BZIP2, LZMA = 0, 8, 9, 12, 14
_DATE = 0x21


def deflated(data: bytes) -> bytes:
    """Without header, as in a zip."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def ordinary(*entries: tuple[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """As Python writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


@dataclass
class Told:
    """One entry's header: what it says, true or not."""

    name: bytes
    data: bytes  # as packed
    size: int  # unpacked
    crc: int
    method: int = DEFLATED
    flags: int = 0
    packed: int | None = None  # None: as many as there are
    extra: bytes = b""

    @property
    def packed_size(self) -> int:
        return len(self.data) if self.packed is None else self.packed


def told(name: bytes, content: bytes, method: int = DEFLATED, flags: int = 0) -> Told:
    """The truth."""
    packed = deflated(content) if method == DEFLATED else content
    return Told(name, packed, len(content), zlib.crc32(content), method, flags)


@dataclass
class Zip:
    """Local headers with data, then the directory; each may say something else."""

    data: bytearray = field(default_factory=bytearray)
    directory: bytearray = field(default_factory=bytearray)
    count: int = 0

    def local(self, entry: Told) -> int:
        """Write a local header with its data; returns where."""
        offset = len(self.data)
        self.data += (
            struct.pack(
                "<IHHHHHIIIHH",
                0x04034B50,
                20,
                entry.flags,
                entry.method,
                0,
                _DATE,
                entry.crc,
                entry.packed_size,
                entry.size,
                len(entry.name),
                len(entry.extra),
            )
            + entry.name
            + entry.extra
            + entry.data
        )
        return offset

    def central(self, entry: Told, offset: int) -> None:
        """List an entry in the directory."""
        self.count += 1
        self.directory += (
            struct.pack(
                "<IHHHHHHIIIHHHHHII",
                0x02014B50,
                20,
                20,
                entry.flags,
                entry.method,
                0,
                _DATE,
                entry.crc,
                entry.packed_size,
                entry.size,
                len(entry.name),
                0,
                0,
                0,
                0,
                0,
                offset,
            )
            + entry.name
        )

    def add(self, entry: Told, listed: Told | None = None) -> int:
        """Both; the directory may tell it differently."""
        offset = self.local(entry)
        self.central(listed or entry, offset)
        return offset

    def whole(self, comment: bytes = b"", *, count: int | None = None, offset: int | None = None) -> bytes:
        """The whole, with its end record."""
        count = self.count if count is None else count
        offset = len(self.data) if offset is None else offset
        end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(self.directory), offset, len(comment))
        return bytes(self.data + self.directory + end) + comment

    def wide(self, *, claimed: int | None = None) -> bytes:
        """The whole, with end records of zip64; the short one tells `claimed` entries."""
        start = len(self.data)
        record = struct.pack(
            "<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, self.count, self.count, len(self.directory), start
        )
        locator = struct.pack("<IIQI", 0x07064B50, 0, start + len(self.directory), 1)
        count = 0xFFFF if claimed is None else claimed
        end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, 0xFFFFFFFF, 0xFFFFFFFF, 0)
        return bytes(self.data + self.directory) + record + locator + end
