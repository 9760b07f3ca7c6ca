"""OLE compound files: Word, Excel and PowerPoint before 2007, and encrypted documents of any age.

libmagic goes by the name of the program in the summary, and calls the work of programs it does not know
`application/vnd.ms-office` or less. The streams in the root folder tell. Source: [MS-CFB] 2.2 to 2.6.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_TYPES = {  # in order: an encrypted document is encrypted, whatever it is else
    "EncryptedPackage": "application/encrypted",
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
}
_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENTRY = struct.Struct("<64sHBBIII")  # name, its length, kind, colour, left and right neighbour, child; 48 bytes more
_ENTRY_SIZE = 128
_SECTOR_SHIFTS = (9, 12)
_MOST_SECTORS = 256  # of the directory: 1024 entries or more
_NONE = 0xFFFFFFF0  # from here on, a number means that there is none


class _Entry(NamedTuple):
    name: str
    left: int
    right: int
    child: int


def inner_type(file: BinaryIO) -> str | None:
    """The type of document, by its main stream."""
    try:
        names = set(_root_names(_directory(file)))
    except (struct.error, LookupError):
        return None
    return next((media_type for name, media_type in _TYPES.items() if name in names), None)


def _directory(file: BinaryIO) -> list[_Entry]:
    """All entries, by following the directory's sectors through the allocation table."""
    file.seek(0)
    header = file.read(512)
    (shift,) = struct.unpack_from("<H", header, 30)
    if not header.startswith(_SIGNATURE) or shift not in _SECTOR_SHIFTS:
        return []
    size = 1 << shift
    (sector,) = struct.unpack_from("<I", header, 48)
    tables = struct.unpack_from("<109I", header, 76)
    entries: list[_Entry] = []
    for _ in range(_MOST_SECTORS):
        if sector >= _NONE:
            break
        data = _sector(file, sector, size)
        entries += [_entry(data, start) for start in range(0, len(data) - _ENTRY_SIZE + 1, _ENTRY_SIZE)]
        table, index = divmod(sector, size // 4)
        (sector,) = struct.unpack_from("<I", _sector(file, tables[table], size), index * 4)
    return entries


def _sector(file: BinaryIO, number: int, size: int) -> bytes:
    file.seek((number + 1) * size)
    return file.read(size)


def _entry(data: bytes, start: int) -> _Entry:
    name, length, _, _, left, right, child = _ENTRY.unpack_from(data, start)
    return _Entry(name[: max(0, length - 2)].decode("utf-16-le", "replace"), left, right, child)


def _root_names(entries: list[_Entry]) -> Iterator[str]:
    """Names in the root folder only: a document may hold another one, with streams of its own."""
    waiting, seen = [entries[0].child], {0}
    while waiting:
        number = waiting.pop()
        if number in seen or number >= len(entries):
            continue
        seen.add(number)
        entry = entries[number]
        yield entry.name
        waiting += (entry.left, entry.right)
