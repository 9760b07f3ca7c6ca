"""The beginnings of streams in an OLE compound file. [MS-CFB] 2.2 to 2.6.

An own reader: olefile loads whole allocation tables and streams, whose sizes are the file's to say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

from worker.sandbox.containers.window import at

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENTRY = struct.Struct("<64sHBBIII36xI8x")  # name, its length, kind, colour, left, right, child; first sector
_SECTOR_SHIFTS = (9, 12)
_MINI = 64  # bytes of a sector in the mini stream
_HEADER_TABLES = 109  # sectors of the allocation table that the header lists itself
_MOST_SECTORS = 4096  # of the directory; 16,384 entries or more
_MOST_STEPS = 1 << 19  # along any one chain; 256 MiB in sectors of 512 bytes
_MOST_LISTS = 1 << 10  # sectors that list the allocation table; a file of 2 GiB has 258
_NONE = 0xFFFFFFF0  # from here on, a number means that there is none


class _Node(NamedTuple):
    name: str
    left: int
    right: int
    child: int
    first: int
    size: int  # bytes


class Stream(NamedTuple):
    """One stream; its size is the file's to say."""

    name: str
    size: int  # bytes
    beginning: Callable[[int], bytes]  # at most so many bytes of it


class Compound:
    """One compound file. Raises `struct.error` or `LookupError` for a broken one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._header = at(file, 0, 512)
        (shift,) = struct.unpack_from("<H", self._header, 30)
        if not self._header.startswith(SIGNATURE) or shift not in _SECTOR_SHIFTS:
            raise LookupError("no compound file")
        self._sector_size = 1 << shift
        self._lists = list(struct.unpack_from("<I", self._header, 68))
        self._chains: dict[int, list[int]] = {}
        (directory, self._cutoff, self._mini_table) = struct.unpack_from("<I4xII", self._header, 48)
        self._nodes = list(self._read_directory(directory))
        self._root = {node.name: node for node in self._children(self._nodes[0].child)}

    def names(self) -> frozenset[str]:
        """In the root folder only: a document may hold another one, with streams of its own."""
        return frozenset(self._root)

    def beginning(self, name: str, size: int) -> bytes:
        """The first bytes of a stream of the root folder; none where it is not there."""
        node = self._root.get(name)
        return self._content(node, size) if node is not None else b""

    def everywhere(self, names: frozenset[str]) -> Iterator[Stream]:
        """The streams of these names, in whichever folder: in documents within the document too."""
        for node in self._nodes:
            if node.name in names:
                yield Stream(node.name, node.size, partial(self._content, node))

    def _content(self, node: _Node, size: int) -> bytes:
        size = min(size, node.size)
        small = node.size < self._cutoff
        pieces, left = [], size
        for sector in self._chain(node.first, self._mini_next if small else self._next):
            if left <= 0:
                break
            pieces.append(self._mini_sector(sector) if small else self._sector(sector))
            left -= len(pieces[-1]) or size
        return b"".join(pieces)[:size]

    def _read_directory(self, first: int) -> Iterator[_Node]:
        for count, sector in enumerate(self._chain(first, self._next)):
            data = self._sector(sector)
            if count >= _MOST_SECTORS:
                raise LookupError("the directory is too long")
            for start in range(0, len(data) - 127, 128):
                name, length, _, _, left, right, child, begin = _ENTRY.unpack_from(data, start)
                (size,) = struct.unpack_from("<I", data, start + 120)
                text = name[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
                yield _Node(text, left, right, child, begin, size)

    def _children(self, top: int) -> Iterator[_Node]:
        waiting, seen = [top], {0}
        while waiting:
            number = waiting.pop()
            if number not in seen and number < len(self._nodes):
                seen.add(number)
                yield self._nodes[number]
                waiting += (self._nodes[number].left, self._nodes[number].right)

    def _chain(self, sector: int, following: object) -> Iterator[int]:
        for _ in range(_MOST_STEPS):
            if sector >= _NONE:
                return
            yield sector
            sector = following(sector)  # type: ignore[operator]

    def _sector(self, number: int) -> bytes:
        return at(self._file, (number + 1) * self._sector_size, self._sector_size)

    def _next(self, sector: int) -> int:
        table, index = divmod(sector, self._sector_size // 4)
        return self._number(self._sector(self._table(table)), index)

    def _table(self, number: int) -> int:
        """Which sector holds this part of the allocation table: listed in the header, then in sectors of their own."""
        if number < _HEADER_TABLES:
            return self._number(self._header[76:], number)
        rows = self._sector_size // 4 - 1
        steps, index = divmod(number - _HEADER_TABLES, rows)
        if steps > _MOST_LISTS:
            raise LookupError("the allocation table is too long")
        while len(self._lists) <= steps:
            self._lists.append(self._number(self._sector(self._lists[-1]), rows))
        return self._number(self._sector(self._lists[steps]), index)

    def _mini_next(self, sector: int) -> int:
        table, index = divmod(sector, self._sector_size // 4)
        return self._number(self._sector(self._nth(self._mini_table, table)), index)

    def _mini_sector(self, number: int) -> bytes:
        place, start = divmod(number * _MINI, self._sector_size)
        return self._sector(self._nth(self._nodes[0].first, place))[start : start + _MINI]

    def _nth(self, first: int, steps: int) -> int:
        if first not in self._chains:  # followed once: of the mini stream, and of its table
            self._chains[first] = list(self._chain(first, self._next))
        return self._chains[first][steps]

    @staticmethod
    def _number(data: bytes, index: int) -> int:
        number: int = struct.unpack_from("<I", data, 4 * index)[0]
        return number
