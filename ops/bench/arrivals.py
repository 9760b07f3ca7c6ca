"""Files without end, and cheap to make: each of a few hundred that were made beforehand, with something of its own.

What of a picture makes it differ is not among its pixels, so clamd knows its re-encoded form after the first time: a
picture costs less than a fresh one, the whole time alike.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

from ops.bench.corpus import File
from ops.bench.factory import Factory
from worker.canaries import eicar, encrypted_zip
from worker.scan import Status

_BASES = 200
_BAD = 0.02  # of all files
_EOCD_COMMENT = 2  # bytes at the end of a zip: how long its comment is
Arrival = tuple[File, Status]  # and what it ends as


def arrivals(factory: Factory) -> Iterator[Arrival]:
    """The realistic mix, and a few bad ones."""
    return _without_end(factory.make("mix", _BASES))


def _without_end(bases: list[File]) -> Iterator[Arrival]:
    bad, chance = itertools.cycle(_bad_ones()), random.Random(_BASES)  # noqa: S311 - nothing is secret here
    for number, base in enumerate(itertools.cycle(bases)):
        if chance.random() < _BAD:
            file, outcome = next(bad)
            yield file._replace(name=f"{number}-{file.name}"), outcome
        else:
            own = _OWN[base.content_type](base.data, b"%016d" % number)
            yield File(f"{number}-{base.name}", base.content_type, own), Status.CLEAN


def _bad_ones() -> Iterator[Arrival]:
    yield File("eicar.txt", "text/plain", eicar()), Status.INFECTED
    yield File("cut.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(100)), Status.REJECTED
    yield File("setup.exe", "application/x-dosexec", b"MZ" + bytes(500)), Status.REJECTED
    yield File("secret.zip", "application/zip", encrypted_zip()), Status.UNSCANNABLE
    yield File("empty.txt", "text/plain", b""), Status.REJECTED


def _comment_segment(data: bytes, own: bytes) -> bytes:
    """A JPEG with a comment (COM) behind its first marker."""
    return data[:2] + b"\xff\xfe" + (len(own) + 2).to_bytes(2, "big") + own + data[2:]


def _archive_comment(data: bytes, own: bytes) -> bytes:
    return data[:-_EOCD_COMMENT] + len(own).to_bytes(_EOCD_COMMENT, "little") + own


def _in_the_comment(data: bytes, own: bytes) -> bytes:
    """A PDF with other bytes in the comment before its table, of the same length."""
    at = data.rindex(b"\nxref\n") - len(own)
    return data[:at] + own + data[at + len(own) :]


def _in_front(data: bytes, own: bytes) -> bytes:
    return own + b" " + data


_OWN: dict[str, Callable[[bytes, bytes], bytes]] = {
    "image/jpeg": _comment_segment,
    "application/zip": _archive_comment,
    "application/pdf": _in_the_comment,
    "text/plain": _in_front,
}
