"""7z: is it encrypted, and are its methods ones that ClamAV knows? 7zFormat.txt and Methods.txt of the LZMA SDK.

An own reader: py7zr and libarchive unpack much more than the one thing that is asked here, with decoders in C of
which none is needed to read a list of coders.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from worker.sandbox.closed import Closed, encrypted, unopenable
from worker.sandbox.containers.window import at, size_of

SIGNATURE = b"7z\xbc\xaf\x27\x1c"
_HEADER, _ENCODED_HEADER, _MAIN_STREAMS, _PACK, _UNPACK, _FOLDER, _SIZE, _SIZES, _END = 1, 0x17, 4, 6, 7, 0xB, 9, 0xC, 0
_AES = b"\x06\xf1\x07\x01"
_COPY, _LZMA, _LZMA2 = b"\0", b"\3\1\1", b"\x21"
# ... BCJ, BCJ2 and ARM. ClamAV says OK to PPMd, BZip2, Deflate, Zstandard and the other filters, unseen.
_OPENABLE = frozenset({_COPY, _LZMA, _LZMA2, b"\3\3\1\3", b"\3\3\1\x1b", b"\3\3\5\1"})
_LARGEST_HEADER = 16 * 1024 * 1024  # bytes
_MOST = 100_000  # folders; ClamAV's MaxFiles
_MOST_CODERS = 32  # 7-Zip's own limit


class _Reader:
    """A header, read from its start; beyond its end, IndexError."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._data):
            raise IndexError("the header ends too early")
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """The first byte's leading ones count the bytes that follow, lowest first; its other bits stand on top."""
        first = self.byte()
        more = next((count for count in range(8) if not first & 0x80 >> count), 8)
        low = int.from_bytes(self.take(more), "little")
        return low | (first & (0x7F >> more)) << 8 * more

    def expect(self, wanted: int) -> None:
        if self.number() != wanted:
            raise ValueError("another property was expected")

    def skip_to(self, wanted: int) -> None:
        while (found := self.number()) != wanted:
            if found == _END:
                raise ValueError("a property is missing")


def check(file: BinaryIO) -> None:
    """Raises `Closed` unless ClamAV can unpack all of it."""
    try:
        coders = _all_coders(file)
    except (IndexError, ValueError, lzma.LZMAError, struct.error, MemoryError) as error:
        raise unopenable("the header of the 7z archive is broken") from error
    for fault in map(_fault, coders):
        if fault is not None:
            raise fault


def _fault(coder: bytes) -> Closed | None:
    if coder == _AES:
        return encrypted("the 7z archive")
    return None if coder in _OPENABLE else unopenable("no scanner unpacks the compression of the 7z archive")


def _all_coders(file: BinaryIO) -> list[bytes]:
    offset, size = struct.unpack("<QQ", at(file, 12, 16))
    coders: list[bytes] = []
    header = _header(file, offset, size)
    for _ in range(4):  # a compressed header may itself be compressed
        reader = _Reader(header)
        if not header or reader.number() == _HEADER:
            break
        place, packed, unpacked, chain = _encoded(_Reader(header[1:]))
        coders += [coder for coder, _ in chain]
        if any(_fault(coder) for coder, _ in chain):
            return coders
        header = _unpacked(at(file, 32 + place, min(packed, _LARGEST_HEADER)), chain, unpacked)
    if header and reader.byte() == _MAIN_STREAMS:
        coders += _folders_of(reader)
    return coders


def _header(file: BinaryIO, offset: int, size: int) -> bytes:
    if size > _LARGEST_HEADER or 32 + offset + size > size_of(file):
        raise ValueError("the header is too large, or cut off")
    return at(file, 32 + offset, size)


def _encoded(reader: _Reader) -> tuple[int, int, int, list[tuple[bytes, bytes]]]:
    """Where the packed header is, its size, its size unpacked, and its coders with their properties."""
    reader.expect(_PACK)
    place, _ = reader.number(), reader.number()
    reader.skip_to(_SIZE)
    packed = reader.number()
    reader.skip_to(_END)
    reader.expect(_UNPACK)
    reader.expect(_FOLDER)
    reader.number(), reader.byte()
    chain = _coders(reader)
    reader.expect(_SIZES)
    return place, packed, reader.number(), chain


def _folders_of(reader: _Reader) -> list[bytes]:
    coders: list[bytes] = []
    kind = reader.number()
    if kind == _PACK:
        _, count = reader.number(), reader.number()
        while (kind := reader.number()) != _END:
            _skip_pack_property(reader, kind, count)
        kind = reader.number()
    if kind == _UNPACK:
        reader.expect(_FOLDER)
        folders = reader.number()
        if folders > _MOST or reader.byte():
            raise ValueError("too many folders, or elsewhere")
        for _ in range(folders):
            coders += [coder for coder, _ in _coders(reader)]
    return coders


def _skip_pack_property(reader: _Reader, kind: int, count: int) -> None:
    if kind == _SIZE and count <= _MOST:
        for _ in range(count):
            reader.number()
    else:
        _skip_digests(reader, count)


def _skip_digests(reader: _Reader, count: int) -> None:
    if count > _MOST:
        raise ValueError("too many streams")
    given = count if reader.byte() else sum(each.bit_count() for each in reader.take((count + 7) // 8))
    reader.take(4 * given)


def _coders(reader: _Reader) -> list[tuple[bytes, bytes]]:
    found, inputs, outputs = [], 0, 0
    count = reader.number()
    if not 0 < count <= _MOST_CODERS:
        raise ValueError("no coders, or too many")
    for _ in range(count):
        flags = reader.byte()
        identity = reader.take(flags & 15)
        streams = (reader.number(), reader.number()) if flags & 0x10 else (1, 1)
        inputs, outputs = inputs + streams[0], outputs + streams[1]
        found.append((identity, reader.take(reader.number()) if flags & 0x20 else b""))
    if inputs > _MOST_CODERS or outputs > _MOST_CODERS:
        raise ValueError("too many streams in a folder")
    for _ in range(outputs - 1):  # which output is bound to which input
        reader.number(), reader.number()
    packed = inputs - (outputs - 1)
    for _ in range(packed if packed > 1 else 0):
        reader.number()
    return found


def _unpacked(data: bytes, chain: list[tuple[bytes, bytes]], size: int) -> bytes:
    if size > _LARGEST_HEADER or len(chain) != 1:
        raise ValueError("the header is too large, or compressed twice")
    ((identity, properties),) = chain
    if identity == _COPY:
        return data[:size]
    make: Callable[..., Any] = lzma.LZMADecompressor
    return bytes(make(lzma.FORMAT_RAW, filters=[_filter(identity, properties)]).decompress(data, size))


def _filter(identity: bytes, properties: bytes) -> dict[str, int]:
    if identity == _LZMA2:
        bits = properties[0]
        return {"id": lzma.FILTER_LZMA2, "dict_size": min((2 | bits & 1) << (bits // 2 + 11), _LARGEST_HEADER)}
    first, dictionary = struct.unpack("<BI", properties)
    rest, lc = divmod(first, 9)
    pb, lp = divmod(rest, 5)
    dictionary = min(dictionary, _LARGEST_HEADER)
    return {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
