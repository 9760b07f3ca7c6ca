"""Is it text, from beginning to end? libmagic looks at the first megabyte, and knows UTF-16 by its mark alone."""

from __future__ import annotations

import codecs
from typing import BinaryIO

from worker.sandbox.containers.window import at, size_of

_MARKS = (  # the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What libmagic takes for text (encoding.c), and the end of file of DOS.
_TEXT = bytes({7, 8, 9, 10, 11, 12, 13, 27, *range(0x20, 0x7F), *range(0x80, 0x100)})
_END_OF_FILE = b"\x1a"
_CONTROL = frozenset(map(chr, {*range(7), *range(14, 27), *range(28, 32)}))
_CHUNK = 1024 * 1024  # bytes
_SAMPLE = 4096  # bytes that tell UTF-16 without a mark
_MOSTLY = 0.7


def encoding_of(file: BinaryIO) -> str:
    """By its mark; UTF-16 without one where most letters are Latin; else bytes, one by one."""
    head = at(file, 0, _SAMPLE)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    for offset, encoding in ((0, "utf-16-le"), (1, "utf-16-be")):
        letters, zeros = head[offset::2], head[1 - offset :: 2]
        if size_of(file) % 2 == 0 and zeros and zeros.count(0) > _MOSTLY * len(zeros) and 0 not in letters:
            return encoding
    return "latin-1"


def is_text(file: BinaryIO) -> bool:
    """Is there nothing but what people read? In UTF-16 and UTF-32 everything must be a character."""
    encoding, place, size = encoding_of(file), 0, size_of(file)
    decoder = codecs.getincrementaldecoder(encoding)()
    while chunk := at(file, place, _CHUNK):
        place += len(chunk)
        if place == size:
            chunk = chunk.removesuffix(_END_OF_FILE)
        if encoding in ("latin-1", "utf-8"):
            if chunk.translate(None, _TEXT):
                return False
        elif not _is_readable(decoder, chunk, final=place == size):
            return False
    return size > 0


def _is_readable(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool) -> bool:
    try:
        return _CONTROL.isdisjoint(decoder.decode(chunk, final))
    except UnicodeDecodeError:
        return False


def beginning(file: BinaryIO, size: int) -> str:
    """The first `size` bytes as a browser would read them, without the mark."""
    return at(file, 0, size).decode(encoding_of(file), "replace").removeprefix("\ufeff")
