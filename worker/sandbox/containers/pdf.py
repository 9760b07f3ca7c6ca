"""PDF: where it begins, and whether it is encrypted. ISO 32000-2, 7.5.2 and 7.6.

Also with an empty password, that anybody opens: ClamAV decrypts the compressed streams of such a file, but says OK to
those that are not compressed and to its strings (scripts among them), unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from worker.sandbox.closed import encrypted
from worker.sandbox.containers.window import at

TYPE = "application/pdf"
_HEADER = re.compile(rb"%PDF-\d")
_HEADER_WITHIN = 1024  # bytes; Acrobat's own bound, and ClamAV's
_HEADER_MAY_FOLLOW = re.compile(rb"(?:\xef\xbb\xbf)?(?:[\0\t\n\f\r ]|%[^\r\n]*[\r\n])*")  # space and comments
_OBJECT = re.compile(rb"(?<!\d)\d{1,10}[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]+obj(?![a-z])")
_SPACE = rb"(?:[\0\t\n\f\r ]|%[^\r\n]{0,200}[\r\n])"


def _name(word: bytes) -> bytes:
    """Any letter of a name may be written as #xx."""
    return b"/" + b"".join(b"(?:%c|#(?i:%02x))" % (each, each) for each in word)


# An entry of a trailer or of a cross-reference stream, neither of which is ever compressed or encrypted itself.
_ENCRYPT = re.compile(_name(b"Encrypt") + _SPACE + rb"*(?:<<|\d{1,10}" + _SPACE + rb"+\d{1,5}" + _SPACE + rb"+R)")
_CHUNK = 1024 * 1024  # bytes
_OVERLAP = 2048  # bytes, more than any of these takes


def begin(file: BinaryIO) -> int | None:
    """Where the header is, if a reader would find one and an object behind it."""
    header = _HEADER.search(at(file, 0, _HEADER_WITHIN + 8))
    if header is None or not any(_OBJECT.search(chunk) for chunk in _chunks(file, header.start())):
        return None
    return header.start()


def follows_nothing(file: BinaryIO, place: int) -> bool:
    """Is there but space, or comments, in front of the header?"""
    return _HEADER_MAY_FOLLOW.fullmatch(at(file, 0, place)) is not None


def check(file: BinaryIO) -> None:
    """Raises `Closed` for one that is encrypted."""
    if any(_ENCRYPT.search(chunk) for chunk in _chunks(file, 0)):
        raise encrypted("the PDF")


def _chunks(file: BinaryIO, start: int) -> Iterator[bytes]:
    kept = b""
    while chunk := at(file, start, _CHUNK):
        yield kept + chunk
        kept, start = (kept + chunk)[-_OVERLAP:], start + len(chunk)
