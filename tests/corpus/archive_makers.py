"""How archives are made: by the programs that people use, and byte by byte where none would do it."""

from __future__ import annotations

import bz2
import io
import lzma
import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import py7zr
import pyzipper

from tests.corpus.zip_builder import BZIP2, STORED, Told, Zip, ordinary, told

TEXT = b"Forty days on the island, and nobody has fallen ill.\n" * 20


def noise(size: int) -> bytes:
    """The same bytes each time, that nothing compresses."""
    return random.Random(size).randbytes(size)


class _Stream(io.RawIOBase):
    """Cannot be sought in: whoever writes a zip to it puts the sizes behind the data."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def streamed() -> bytes:
    stream = _Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", TEXT)
        archive.writestr("b.txt", TEXT)
    return bytes(stream.data)


def folders(count: int) -> bytes:
    return ordinary(*((f"folder{number}/", b"") for number in range(count)), ("a.txt", TEXT))


def wide() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a.txt", "w", force_zip64=True) as entry:
        entry.write(TEXT)
    return file.getvalue()


def commented() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", TEXT)
        archive.comment = "Grüße aus Ragusa, mit PK und %PDF-1.4".encode()
    return file.getvalue()


def appended() -> bytes:
    file = io.BytesIO(ordinary(("a.txt", TEXT)))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("b.txt", TEXT)
    return file.getvalue()


def locked(encryption: int | None, bits: int = 256) -> bytes:
    file = io.BytesIO()
    with pyzipper.AESZipFile(file, "w", compression=pyzipper.ZIP_DEFLATED) as archive:
        if encryption:
            archive.setpassword(b"secret")
            archive.setencryption(encryption, nbits=bits)
        archive.writestr("a.txt", TEXT)
    return file.getvalue()


def flagged(local: int, central: int) -> bytes:
    archive = Zip()
    archive.add(told(b"a.txt", TEXT, STORED, local), told(b"a.txt", TEXT, STORED, central))
    return archive.whole()


def seven(filters: list[dict[str, int]] | None = None, *, password: str | None = None, names: bool = False) -> bytes:
    """A 7z; `names`: encrypted as well."""
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w", filters=filters, password=password, header_encryption=names) as archive:
        archive.writestr(TEXT, "a.txt")
        archive.writestr(noise(500), "b.bin")
    return file.getvalue()


def tape(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def zstandard(data: bytes) -> bytes:
    """One frame with one raw block. RFC 8878, 3.1.1"""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + (len(data) << 3 | 1).to_bytes(3, "little") + data


def lz4(data: bytes) -> bytes:
    """One frame with one raw block. https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md"""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + (len(data) | 1 << 31).to_bytes(4, "little") + data + bytes(4)


def demanding(data: bytes, bits: int) -> bytes:
    """An xz that asks for a dictionary of 2**`bits` bytes. The .xz File Format, 3.1 and 5.3.1"""
    packed = bytearray(lzma.compress(data))
    packed[16] = (bits - 12) * 2
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    return bytes(packed)


def nested(depth: int) -> bytes:
    """Zip in zip, so many of them."""
    data = ordinary(("a.txt", TEXT))
    for _ in range(depth - 1):
        data = ordinary(("inner.zip", data))
    return data


def holding(name: str, data: Callable[[], bytes], method: int = zipfile.ZIP_DEFLATED) -> Callable[[], bytes]:
    return lambda: ordinary((name, data()), ("readme.txt", TEXT), method=method)


def different(*, local: bool = False, **lies: Any) -> Callable[[], bytes]:
    """One header is true, the directory (or the `local` one) says something else."""

    def make() -> bytes:
        archive = Zip()
        true = told(b"a.txt", TEXT)
        false = Told(**{**vars(true), **lies})
        archive.add(*((false, true) if local else (true, false)))
        return archive.whole()

    return make


def unlisted(*, first: bool) -> Callable[[], bytes]:
    def make() -> bytes:
        archive = Zip()
        if first:
            archive.local(told(b"hidden.txt", TEXT))
        archive.add(told(b"a.txt", TEXT))
        if not first:
            archive.local(told(b"hidden.txt", TEXT))
        return archive.whole()

    return make


def twice() -> bytes:
    archive = Zip()
    offset = archive.add(told(b"a.txt", TEXT))
    archive.central(told(b"a.txt", TEXT), offset)
    return archive.whole()


def quoted() -> bytes:
    """Each entry is stored around the next one's header: https://www.bamsoftware.com/hacks/zipbomb/."""
    inner = Zip()
    inner.local(told(b"b.txt", TEXT))
    archive = Zip()
    offset = archive.add(told(b"a.txt", bytes(inner.data), STORED))
    archive.central(told(b"b.txt", TEXT), offset + 35)
    return archive.whole()


def into_directory() -> bytes:
    """The data of its only entry goes on to the end of the file, the directory that lists it included."""
    archive = Zip()
    true = told(b"a.zip", TEXT, STORED)
    longer = Told(**{**vars(true), "packed": len(TEXT) + 60, "size": len(TEXT) + 60})
    archive.add(longer)
    return archive.whole()


def one(entry: Told) -> Callable[[], bytes]:
    def make() -> bytes:
        archive = Zip()
        archive.add(entry)
        return archive.whole()

    return make


def empty_entries(count: int) -> bytes:
    archive = Zip()
    for number in range(count):
        archive.add(told(b"%d" % number, b"", STORED))
    return archive.whole()


def bzip2_bomb() -> bytes:
    """Says 100 bytes, gives 64 MiB."""
    archive = Zip()
    archive.add(Told(b"a", bz2.compress(bytes(64 << 20)), 100, 0, BZIP2))
    return archive.whole()


def covering(count: int) -> bytes:
    """A zip each of whose entries, up to 90, holds all headers that follow."""
    archive = Zip()
    entries = [told(b"%d" % number, b"", STORED) for number in range(10, 10 + count)]
    for left, entry in enumerate(reversed(entries)):
        entry.size = entry.packed = 32 * left + 100
    offsets = [archive.local(entry) for entry in entries]
    archive.data += bytes(100)
    for entry, offset in zip(entries, offsets, strict=True):
        archive.central(entry, offset)
    return archive.whole()
