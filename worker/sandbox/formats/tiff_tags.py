"""The directories of a TIFF (TIFF 6.0, section 2; BigTIFF as libtiff has it): read, as far as limits need."""

from __future__ import annotations

from mmap import mmap
from typing import Literal, NamedTuple

from worker.sandbox.refusal import undecodable

Order = Literal["little", "big"]
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MOST_TAGS = 1000  # of one directory; usual are 20
_CUT = "the TIFF ends before its last page"


class Layout(NamedTuple):
    """Where the offset of the first directory stands, and the widths of things; in bytes."""

    first: int
    counter: int  # of a directory's entries
    entry: int
    offset: int


_ORDERS: dict[bytes, Order] = {b"II": "little", b"MM": "big"}
_LAYOUTS = {42: Layout(first=4, counter=2, entry=12, offset=4), 43: Layout(first=8, counter=8, entry=20, offset=8)}


class Tag(NamedTuple):
    """One entry of a directory, and where its values lie in the file."""

    number: int
    width: int  # bytes of one value
    length: int  # values
    start: int

    @property
    def size(self) -> int:
        """Bytes of all values."""
        return self.width * self.length

    @property
    def end(self) -> int:
        return self.start + self.size


class Directories:
    """Access to the directories of one file."""

    def __init__(self, data: mmap) -> None:
        """Raises `Refusal` for what is no TIFF."""
        order = _ORDERS.get(data[:2])
        layout = _LAYOUTS.get(int.from_bytes(data[2:4], order)) if order else None
        if order is None or layout is None:
            raise undecodable("it does not begin like a TIFF")
        self.data, self.order, self.layout = data, order, layout

    def next_offset_at(self, directory: int) -> int:
        """Where a directory says which is the next."""
        entries = self.number(directory, self.layout.counter)
        return directory + self.layout.counter + entries * self.layout.entry

    def tags(self, directory: int) -> dict[int, Tag]:
        """The entries of a directory by their numbers; of a repeated one the first, as libtiff has it.

        Raises `Refusal`.
        """
        counter, entry, _ = self.layout[1:]
        found: dict[int, Tag] = {}
        start, end = directory + counter, self.next_offset_at(directory)
        if end > len(self.data):
            raise undecodable(_CUT)
        if end - start > _MOST_TAGS * entry:
            raise undecodable("a directory of the TIFF has too many tags")
        for at in range(start, end, entry):
            tag = self._tag(at)
            found.setdefault(tag.number, tag)
        return found

    def values(self, tag: Tag, at_most: int) -> list[int]:
        """The first values of a tag that holds whole numbers; none that lie behind the end of the file."""
        last = min(tag.start + at_most * tag.width, tag.end, len(self.data))
        steps = range(tag.start, last - tag.width + 1, tag.width)
        return [int.from_bytes(self.data[at : at + tag.width], self.order) for at in steps]

    def number(self, where: int, width: int) -> int:
        """A whole number at an offset. Raises `Refusal` behind the end of the file."""
        data = self.data[where : where + width]
        if len(data) < width:
            raise undecodable(_CUT)
        return int.from_bytes(data, self.order)

    def _tag(self, at: int) -> Tag:
        number, kind = self.number(at, 2), self.number(at + 2, 2)
        width, offset = _SIZES.get(kind, 1), self.layout.offset
        count, where = self.number(at + 4, offset), at + 4 + offset
        start = where if width * count <= offset else self.number(where, offset)
        return Tag(number, width, count, start)
