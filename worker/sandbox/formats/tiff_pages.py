"""The chain of pages in a TIFF (TIFF 6.0, section 2; BigTIFF as libtiff has it): followed, and cut to one page."""

from __future__ import annotations

from mmap import ACCESS_COPY, mmap
from typing import Literal, NamedTuple

from worker.sandbox.refusal import undecodable


class _Layout(NamedTuple):
    """Where the offset of the first directory stands, and the widths of things; in bytes."""

    first: int
    counter: int  # of a directory's entries
    entry: int
    offset: int


_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
_LAYOUTS = {42: _Layout(first=4, counter=2, entry=12, offset=4), 43: _Layout(first=8, counter=8, entry=20, offset=8)}


class Pages:
    """The pages of a file, as TIFFs of one page each.

    libtiff counts all pages whenever it opens one, so a file of 1,000 would take 1,000,000 steps.
    """

    def __init__(self, descriptor: int, at_most: int) -> None:
        """Follows the chain, but no further than to page `at_most` + 1.

        Raises `Refusal` where the chain leaves the file or comes back to itself: libtiff takes that for its end,
        and would silently drop the pages behind it.
        """
        self._file = mmap(descriptor, 0, access=ACCESS_COPY)  # what is changed here is changed for this process only
        order = _ORDERS.get(self._file[:2])
        layout = _LAYOUTS.get(int.from_bytes(self._file[2:4], order)) if order else None
        if order is None or layout is None:
            raise undecodable("it does not begin like a TIFF")
        self._order, self._layout = order, layout
        self._directories = self._follow(at_most)

    def __len__(self) -> int:
        return len(self._directories)

    def alone(self, number: int) -> mmap:
        """The file with this page in it and no other; good until the next one is asked for."""
        layout, directory = self._layout, self._directories[number]
        end = self._end(directory)
        self._file[layout.first : layout.first + layout.offset] = directory.to_bytes(layout.offset, self._order)
        self._file[end : end + layout.offset] = bytes(layout.offset)
        return self._file

    def _follow(self, at_most: int) -> list[int]:
        directories: dict[int, None] = {}
        where = self._layout.first
        while (directory := self._number(where, self._layout.offset)) and len(directories) <= at_most:
            if directory in directories:
                raise undecodable("the pages of the TIFF form a circle")
            directories[directory] = None
            where = self._end(directory)
        return list(directories)

    def _end(self, directory: int) -> int:
        """Where a directory says which is the next."""
        entries = self._number(directory, self._layout.counter)
        return directory + self._layout.counter + entries * self._layout.entry

    def _number(self, where: int, width: int) -> int:
        data = self._file[where : where + width]
        if len(data) < width:
            raise undecodable("the TIFF ends before its last page")
        return int.from_bytes(data, self._order)
