"""PDF: where it begins, and whether it is encrypted. ISO 32000-2, 7.5.2 and 7.6.

Also with an empty password, that anybody opens: ClamAV decrypts the compressed streams of such a file, but says OK to
those that are not compressed and to its strings (scripts among them), unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import encrypted
from worker.sandbox.containers.window import at, size_of

TYPE = "application/pdf"
_HEADER = re.compile(rb"%PDF-\d")
_HEADER_WITHIN = 1024  # bytes; Acrobat's own bound, and ClamAV's
_HEADER_MAY_FOLLOW = re.compile(rb"(?:\xef\xbb\xbf)?(?:[\0\t\n\f\r ]|%[^\r\n]*[\r\n])*")  # space and comments
_OBJECT = re.compile(rb"(?<!\d)\d{1,10}[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]+obj(?![a-z])")
_SPACE = rb"[\0\t\n\f\r ]"
_MOST_SPACE = 100  # bytes that anybody writes there


def _name(word: bytes) -> bytes:
    """Any letter of a name may be written as #xx."""
    return b"/" + b"".join(b"(?:%c|#(?i:%02x))" % (each, each) for each in word)


# An entry of a trailer or of a cross-reference stream, neither of which is ever compressed or encrypted itself. Where a
# comment, or space without end, keeps us from seeing what the entry is, it is that.
_GAP, _UNSEEN = _SPACE + b"{0,%d}+" % _MOST_SPACE, b"%|" + _SPACE
_GENERATION = rb"\d{1,5}" + _SPACE + _GAP + b"(?:R|" + _UNSEEN + b")"
_REFERENCE = rb"\d{1,10}" + _SPACE + _GAP + b"(?:" + _GENERATION + b"|" + _UNSEEN + b")"
_ENCRYPT = re.compile(_name(b"Encrypt") + _GAP + b"(?:<<|" + _REFERENCE + b"|" + _UNSEEN + b")")
_OBJECT_WITHIN = 64 * 1024 * 1024  # bytes; in what people make it follows the header
_CHUNK = 1024 * 1024  # bytes
_OVERLAP = 2048  # bytes, more than any of these takes


def begin(file: BinaryIO) -> int | None:
    """Where the header is, if a reader would find one and an object behind it, or may find one far behind it."""
    header = _HEADER.search(at(file, 0, _HEADER_WITHIN + 8))
    if header is None:
        return None
    near = _chunks(file, header.start(), _OBJECT_WITHIN)
    is_large = size_of(file) > header.start() + _OBJECT_WITHIN
    return header.start() if any(_OBJECT.search(chunk) for chunk in near) or is_large else None


def follows_nothing(file: BinaryIO, place: int) -> bool:
    """Is there but space, or comments, in front of the header?"""
    return _HEADER_MAY_FOLLOW.fullmatch(at(file, 0, place)) is not None


def check(file: BinaryIO, allowance: Allowance) -> None:
    """Raises `Closed` for one that is encrypted."""
    for chunk in _chunks(file, 0, size_of(file)):
        allowance.check_time()
        if _ENCRYPT.search(chunk):
            raise encrypted("the PDF")


def _chunks(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    kept, end = b"", start + size
    while chunk := at(file, start, min(_CHUNK, end - start)):
        yield kept + chunk
        kept, start = (kept + chunk)[-_OVERLAP:], start + len(chunk)
