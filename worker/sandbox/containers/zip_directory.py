"""The directory of a zip, and whether its entries lie where it says. APPNOTE.TXT 4.3 and 4.4.

`zipfile` believes the directory alone and loads all of it, other readers go by the local headers, and ClamAV by a bit
of both: where they differ, it says OK to what it has not seen (an entry that the directory leaves out, a local header
that says "0 bytes", two archives one after the other). So every entry must be told twice in the same words.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from worker.sandbox.closed import Closed, unopenable
from worker.sandbox.containers.window import at, size_of

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END64, _LOCATOR = b"PK\x06\x06", b"PK\x06\x07"
_LARGEST_DIRECTORY = 32 * 1024 * 1024  # bytes: 100,000 entries with long names
_MOST_ENTRIES = 100_000  # ClamAV's MaxFiles (ops/clamav/clamd.conf)
_EXHAUSTING = 5_000  # entries: if they are empty, more take clamd minutes
_LONGEST_COMMENT = 0xFFFF
_END_FIELDS = struct.Struct("<4sHHHHIIH")
_END64_FIELDS = struct.Struct("<4sQHHIIQQQQ")
_CENTRAL_FIELDS = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL_FIELDS = struct.Struct("<4sHHHHHIIIHH")
_ZIP64_FIELD = 1
_DESCRIPTOR_FLAG, _LONGEST_DESCRIPTOR = 8, 24
_SATURATED = 0xFFFFFFFF
_CHUNK = 1024 * 1024  # bytes


class Entry(NamedTuple):
    """One file in the archive, as the directory tells it."""

    name: bytes
    flags: int
    method: int
    packed: int  # bytes
    size: int  # bytes, unpacked
    offset: int  # of the local header, in the file


class Directory(NamedTuple):
    """All entries, and where the archive lies in its file."""

    entries: tuple[Entry, ...]
    start: int  # of the directory
    prefix: int  # bytes in front of the archive that its own offsets do not count
    end: int  # of the comment: where the archive ends

    @property
    def first(self) -> int:
        """Where the first entry begins."""
        return min((each.offset for each in self.entries), default=self.start)


def find(file: BinaryIO) -> int | None:
    """Where the end record of a zip is; None where there is none. The last one is what most readers go by."""
    tail_start = max(0, size_of(file) - _END_FIELDS.size - _LONGEST_COMMENT)
    tail = at(file, tail_start, _END_FIELDS.size + _LONGEST_COMMENT)
    place = tail.rfind(END, 0, max(0, len(tail) - _END_FIELDS.size + len(END)))
    return tail_start + place if place >= 0 else None


def read(file: BinaryIO) -> Directory:
    """Raises `Closed` where there is none, or none that every reader would understand alike."""
    place = find(file)
    if place is None:
        raise unopenable("the archive has no directory: it is cut off")
    _, disk, first_disk, here, count, size, offset, comment = _END_FIELDS.unpack(at(file, place, _END_FIELDS.size))
    end = place + _END_FIELDS.size + comment
    if wide := _zip64(file, place):
        place, *told = wide
        for short, long, most in ((count, told[0], 0xFFFF), (size, told[1], _SATURATED), (offset, told[2], _SATURATED)):
            if short not in (long, most):
                raise unopenable("the archive tells the size of its directory in two ways")
        count, size, offset = told
        here = count
    if disk or first_disk or here != count:
        raise unopenable("the archive is one part of several")
    prefix = place - size - offset
    if prefix < 0 or size > _LARGEST_DIRECTORY:
        raise unopenable("the directory of the archive does not lie where it should, or is too large")
    entries = tuple(_entries(at(file, place - size, size), prefix))
    if len(entries) != count or count > _MOST_ENTRIES:
        why = "the archive does not hold as many entries as it says, or too many"
        raise unopenable(why, exhausting=len(entries) > _EXHAUSTING)
    return Directory(entries, place - size, prefix, end)


def _zip64(file: BinaryIO, place: int) -> tuple[int, int, int, int] | None:
    """Where its end record is, count of entries, size and offset of the directory."""
    locator = at(file, place - 20, 20)
    if not locator.startswith(_LOCATOR):
        return None
    # The record has no extensible data in any archive that people make, so it stands right in front.
    place -= 20 + _END64_FIELDS.size
    record = at(file, place, _END64_FIELDS.size)
    if not record.startswith(_END64) or len(record) < _END64_FIELDS.size:
        raise unopenable("the zip64 record of the archive is not where it should be")
    _, _, _, _, _, _, here, count, size, offset = _END64_FIELDS.unpack(record)
    if here != count:
        raise unopenable("the archive is one part of several")
    return place, count, size, offset


def _entries(directory: bytes, prefix: int) -> Iterator[Entry]:
    position = 0
    while position < len(directory):
        try:
            fields = _CENTRAL_FIELDS.unpack_from(directory, position)
        except struct.error as error:
            raise unopenable("the directory of the archive is broken") from error
        signature, _, _, flags, method, _, _, _, packed, size, named, extra, comment, _, _, _, offset = fields
        names = position + _CENTRAL_FIELDS.size
        position = names + named + extra + comment
        if signature != CENTRAL or position > len(directory):
            raise unopenable("the directory of the archive is broken")
        fields64 = directory[names + named : names + named + extra]
        size, packed, offset = _widened(fields64, size, packed, offset)
        yield Entry(directory[names : names + named], flags, method, packed, size, offset + prefix)


def _widened(extra: bytes, *values: int) -> tuple[int, ...]:
    """The same values, those from the zip64 field that do not fit into 32 bits."""
    data, position = b"", 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == _ZIP64_FIELD:
            data = extra[position + 4 : position + 4 + length]
            break
        position += 4 + length
    wide = iter(struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8]))
    return tuple(next(wide, value) if value == _SATURATED else value for value in values)


def places(file: BinaryIO, directory: Directory) -> Iterator[tuple[Entry, int]]:
    """Every entry, in the order in which they lie in the file, with where its data begins.

    Raises `Closed` where the two headers of one disagree, where entries overlap, or where there is one between them
    that the directory does not list.
    """
    expected = 0  # where the last one ended
    for entry in sorted(directory.entries, key=lambda entry: entry.offset):
        if entry.offset < expected:
            raise unopenable("entries of the archive overlap")
        _check_gap(file, expected, entry.offset)
        start = data_start(file, entry)
        expected = start + entry.packed
        if expected > directory.start:
            raise unopenable("an entry of the archive reaches beyond its end")
        yield entry, start
    _check_gap(file, expected, directory.start)


def data_start(file: BinaryIO, entry: Entry) -> int:
    """Behind the local header. Raises `Closed` where that does not say the same as the directory."""
    header = at(file, entry.offset, _LOCAL_FIELDS.size + len(entry.name))
    if not header.startswith(LOCAL) or len(header) < _LOCAL_FIELDS.size:
        raise unopenable("an entry of the archive does not lie where its directory says")
    _, _, flags, method, _, _, _, packed, size, named, extra = _LOCAL_FIELDS.unpack_from(header)
    start = entry.offset + _LOCAL_FIELDS.size + int(named)
    if _SATURATED in (size, packed):
        size, packed = _widened(at(file, start, extra), size, packed)
    same = (method, named, (flags ^ entry.flags) & 1) == (entry.method, len(entry.name), 0)
    later = flags & _DESCRIPTOR_FLAG and (packed, size) == (0, 0)  # the sizes follow the data
    sized = later or (packed, size) == (entry.packed, entry.size)
    if not same or not sized or header[_LOCAL_FIELDS.size :] != entry.name:
        raise _disagreement()
    return start + int(extra)


def _disagreement() -> Closed:
    return unopenable("an entry of the archive is described in two ways, so that programs would unpack different files")


def _check_gap(file: BinaryIO, start: int, end: int) -> None:
    """What lies between entries may be a data descriptor, padding, a signature: but no entry."""
    kept = b""
    while end - start > _LONGEST_DESCRIPTOR:
        chunk = at(file, start, min(_CHUNK, end - start))
        if not chunk:
            return
        if LOCAL in kept + chunk:
            raise unopenable("the archive holds entries that its directory does not list")
        kept, start = chunk[-3:], start + len(chunk)
