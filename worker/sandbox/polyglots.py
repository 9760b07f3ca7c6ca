"""Is the file something else too? What other programs would take the very same bytes for. Runs in the child.

Readers look for a format in different places: a zip's directory is at the end, a PDF's header anywhere in the first
kilobyte, a browser of old looked for tags there. What only lies inside, as a PDF does in an archive or a picture in a
document, makes a file of one kind: an attachment, an entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from worker.sandbox.closed import Closed
from worker.sandbox.containers import ole_streams, pdf, zip_directory, zipped
from worker.sandbox.containers.window import at, size_of
from worker.sandbox.containers.zip_directory import Directory

UNKNOWN = "application/octet-stream"
_TEXT_TYPES = ("text/", "application/json", "image/svg")
_LOOKED_AT = 1024  # bytes
_TAGS = re.compile(rb"<(?:!doctype\s+html|html|head|body|script|iframe|object|embed|svg)[\s/>]", re.IGNORECASE)
_PHAR_STUB, _PHAR_END = b"__HALT_COMPILER();", b"GBMB"  # https://www.php.net/manual/en/phar.fileformat.signature.php
_PDF_STREAM_END = re.compile(rb"[\0\t\n\f\r ]*endstream")
# The first bytes of an image that is a script as well: they assign to a variable, or open a comment, up to where the
# script goes on. GIF, BMP, JPEG and RIFF have a number there that may be chosen freely.
_SCRIPT = re.compile(rb"GIF8[79]a(?:=|/\*)|BM(?:=|/\*)|\xff\xd8\xff[\xe0\xfe]/\*|RIFF(?:=|/\*)", re.DOTALL)
_PADDING = b"\0\t\n\r "
_MOST_PADDING = 4096  # bytes behind the end of an archive that do not count
_CHUNK = 1024 * 1024  # bytes


def also(media_type: str, file: BinaryIO) -> tuple[str, ...]:
    """Media types, in alphabetical order."""
    archive = _archive(media_type, file)
    found = set(_by_its_beginning(media_type, file, archive))
    if archive is not None:
        found |= _as_archive(media_type, file, archive)
    if _is_phar(file):
        found.add(zipped.PHAR)
    return tuple(sorted(found - {media_type}))


def _archive(media_type: str, file: BinaryIO) -> Directory | None:
    """The zip that a reader would find from the end of the file."""
    place = zip_directory.find(file)
    if place is None:
        return None
    try:
        directory = zip_directory.read(file)
    except Closed:
        return None
    holds = directory.entries and at(file, directory.first, 4) == zip_directory.LOCAL
    return directory if holds and not _is_attachment(media_type, file, directory) else None


def _is_attachment(media_type: str, file: BinaryIO, archive: Directory) -> bool:
    """Does a document go on behind it, as it does behind a picture, whose bytes also stand in the file as they are?

    An archive that ends with the file, by whatever comment, is one that every reader finds."""
    behind = at(file, archive.end, _LOOKED_AT)
    if media_type == pdf.TYPE:
        return _PDF_STREAM_END.match(behind) is not None
    return at(file, 0, 8) == ole_streams.SIGNATURE and archive.end < size_of(file)


def _as_archive(media_type: str, file: BinaryIO, archive: Directory) -> set[str]:
    packages = set(zipped.packages(file))
    if not zipped.is_kind(media_type):
        return packages or {zipped.ZIP}
    behind = at(file, archive.end, _MOST_PADDING + 1)
    alone = not archive.first and not archive.prefix and len(behind) <= _MOST_PADDING and not behind.strip(_PADDING)
    return packages if alone else packages | {UNKNOWN}


def _by_its_beginning(media_type: str, file: BinaryIO, archive: Directory | None) -> Iterator[str]:
    head = at(file, 0, _LOOKED_AT)
    if zipped.is_kind(media_type):
        head = _outside_entries(file, archive)
    place = pdf.begin(file) if b"%PDF-" in head else None
    if place is not None and media_type != pdf.TYPE:
        yield pdf.TYPE
    if place and media_type == pdf.TYPE and not pdf.follows_nothing(file, place):
        yield UNKNOWN
    if not media_type.startswith(_TEXT_TYPES) and _TAGS.search(head):
        yield "text/html"
    if _SCRIPT.match(head):
        yield "text/javascript"


def _outside_entries(file: BinaryIO, archive: Directory | None) -> bytes:
    """What of the beginning of an archive is no entry's data: headers, names, what stands in front."""
    head = bytearray(at(file, 0, _LOOKED_AT))
    for entry in archive.entries if archive else ():
        if entry.offset < len(head):
            try:
                start = zip_directory.data_start(file, entry)
            except Closed:
                continue
            head[start : start + entry.packed] = bytes(len(head[start : start + entry.packed]))
    return bytes(head)


def _is_phar(file: BinaryIO) -> bool:
    if at(file, size_of(file) - len(_PHAR_END), len(_PHAR_END)) != _PHAR_END:
        return False
    place, kept = 0, b""
    while chunk := at(file, place, _CHUNK):
        if _PHAR_STUB in kept + chunk:
            return True
        place, kept = place + len(chunk), chunk[-len(_PHAR_STUB) :]
    return False
