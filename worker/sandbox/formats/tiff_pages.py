"""The chain of pages in a TIFF: followed, counted, and cut to one page."""

from __future__ import annotations

from itertools import chain
from mmap import ACCESS_COPY, ACCESS_READ, mmap
from typing import BinaryIO

from worker.sandbox.formats.tiff_tags import Directories, Tag
from worker.sandbox.refusal import Refusal, undecodable
from worker.sandbox.tally import Tally

_WIDTH, _HEIGHT, _PROFILE = 256, 257, 34675
_PLACES = ((273, 279), (324, 325))  # tags: where strips or tiles lie, and how many bytes each has
_INNER = (330, 34665, 34853)  # tags that point to more directories: reduced images, EXIF, GPS
_STRUCTURE = frozenset({*chain.from_iterable(_PLACES), _PROFILE, 301, 320, 347})  # these hold much, and are needed
_MOST_TAGS = 10_000  # of all directories of a page; usual are 20
_MOST_INNER = 100  # directories within a page


class Pages:
    """The pages of a file, as TIFFs of one page each.

    libtiff counts all pages whenever it opens one, so a file of 1,000 would take 1,000,000 steps.
    """

    def __init__(self, descriptor: int, at_most: int) -> None:
        """Follows the chain, but no further than to page `at_most` + 1. Raises `Refusal`."""
        self._file = mmap(descriptor, 0, access=ACCESS_COPY)  # what is changed here is changed for this process only
        self._directories = Directories(self._file)
        self._pages = _follow(self._directories, at_most)

    def __len__(self) -> int:
        return len(self._pages)

    def alone(self, number: int) -> mmap:
        """The file with this page in it and no other; good until the next one is asked for."""
        page, layout, order = self._pages[number], self._directories.layout, self._directories.order
        end = self._directories.next_offset_at(page)
        self._file[layout.first : layout.first + layout.offset] = page.to_bytes(layout.offset, order)
        self._file[end : end + layout.offset] = bytes(layout.offset)
        return self._file


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless the pages are whole, and what their tags promise is within the limits."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        directories, end = Directories(data), 0
        pages = _follow(directories, tally.frames_left)
        tally.announced(len(pages))
        for page in pages:
            end = max(end, _survey_page(directories, page, tally))
        tally.finish()
        return end


def _follow(directories: Directories, at_most: int) -> list[int]:
    """The offsets of the pages. Raises `Refusal` where the chain leaves the file or comes back to itself: libtiff
    takes that for its end, and would silently drop the pages behind it."""
    found: dict[int, None] = {}
    where, width = directories.layout.first, directories.layout.offset
    while (page := directories.number(where, width)) and len(found) <= at_most:
        if page in found:
            raise undecodable("the pages of the TIFF form a circle")
        found[page] = None
        where = directories.next_offset_at(page)
    return list(found)


def _survey_page(directories: Directories, page: int, tally: Tally) -> int:
    """Where the last byte of a page lies, plus one."""
    tags = directories.tags(page)
    width, height = (_first(directories, tags, number) for number in (_WIDTH, _HEIGHT))
    tally.frame(width, height)
    end = _end_of_pixels(directories, tags, tally)
    waiting, seen, count = [page], {page}, 0
    while waiting:
        directory = waiting.pop()
        try:
            inner = directories.tags(directory)
        except Refusal:
            continue  # nobody follows the pointer but us, and many programs leave one that leads nowhere
        count += len(inner)
        if count > _MOST_TAGS or len(seen) > _MOST_INNER:
            raise undecodable("a page of the TIFF has too many tags")
        end = max(end, directories.next_offset_at(directory) + directories.layout.offset)
        for tag in inner.values():
            end = max(end, _count(directories, tag, tally))
        places = [
            each for number in _INNER if number in inner for each in directories.values(inner[number], _MOST_INNER)
        ]
        waiting += set(places) - seen
        seen |= set(places)
    return end


def _count(directories: Directories, tag: Tag, tally: Tally) -> int:
    """The end of a tag's values, if they are in the file."""
    tally.step()
    if tag.end > len(directories.data):
        return 0  # libtiff ignores it, or refuses the file
    if tag.number == _PROFILE:
        tally.profile(tag.size)
    elif tag.number not in _STRUCTURE:
        tally.metadata(tag.size)
    return tag.end


def _end_of_pixels(directories: Directories, tags: dict[int, Tag], tally: Tally) -> int:
    end = 0
    for offsets, lengths in _PLACES:
        if offsets in tags and lengths in tags:
            pieces = tags[offsets].length
            places = zip(*(directories.values(tags[each], pieces) for each in (offsets, lengths)), strict=False)
            for place in places:
                tally.step()
                end = max(end, sum(place))
    return end


def _first(directories: Directories, tags: dict[int, Tag], number: int) -> int:
    values = directories.values(tags[number], 1) if number in tags else []
    return values[0] if values else 0
