"""A look into everything that holds something: is there anything that nobody can look into?

clamd is what looks for malware. This finds what clamd says OK to because it could not open it: what is encrypted, what
is compressed in a way it does not know, and what lies where it does not look. The rule: every archive must be one that
clamd opens and that is opened here too, and holds only such: zip (and all that is a zip), tar, gzip, bzip2 and xz by
Python, 7z, cab, cpio, xar, LHA and ISO 9660 by libarchive, six deep. Any other is closed, also where clamd opens it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import encrypted, unopenable
from worker.sandbox.containers import (
    archive_reader,
    cabinet,
    compressed,
    disc_image,
    ole,
    ole_streams,
    pdf,
    pgp,
    rar,
    seven_zip,
    tape,
    zip_directory,
    zip_entries,
)
from worker.sandbox.containers.window import at

_HEAD = 38 * 1024  # bytes; the image of a disc says what it is at byte 32,769, one of raw sectors at 37,649
_LARGEST_MANIFEST = 8 * 1024 * 1024  # bytes


class _Kind(NamedTuple):
    """A container, by how it begins."""

    beginning: re.Pattern[bytes]
    check: Callable[[BinaryIO, Allowance], None]  # raises `Closed`


def look_into(file: BinaryIO, allowance: Allowance, *, is_zip: bool = False) -> None:
    """Raises `Closed` where something in there, or all of it, stays unseen. `is_zip`: also if it begins otherwise."""
    check = _zip if is_zip else _check_for(at(file, 0, _HEAD))
    if check is not None:
        allowance.enter()
        check(file, allowance)
        allowance.leave()
    elif pgp.is_encrypted(file):
        raise encrypted("the message")


def _check_for(head: bytes) -> Callable[[BinaryIO, Allowance], None] | None:
    return next((kind.check for kind in _KINDS if kind.beginning.match(head)), None)


def _zip(file: BinaryIO, allowance: Allowance) -> None:
    for content in zip_entries.contents(file, zip_directory.read(file), allowance):
        head = content.head(_HEAD)
        if _check_for(head) or pgp.begins_like_one(head):
            with allowance.holding():
                look_into(content.open(allowance), allowance)
        elif content.entry.name.lower() == b"meta-inf/manifest.xml" and _says_encrypted(content):
            raise encrypted("the document")


def _says_encrypted(manifest: zip_entries.Content) -> bool:
    """OpenDocument 1.3, part 2, 4.4: the manifest says of each entry how it is encrypted. In whatever encoding: UTF-16
    is the only other one that readers know, and its letters are the same with NULs between them."""
    return b"encryption-data" in manifest.read(_LARGEST_MANIFEST).replace(b"\0", b"")


def _tape(file: BinaryIO, allowance: Allowance) -> None:
    for member in tape.members(file):
        allowance.check_time()
        look_into(member, allowance)


def _compressed(file: BinaryIO, allowance: Allowance) -> None:
    compressed.check(file)
    head = compressed.head(file, _HEAD, allowance)
    if _check_for(head) or pgp.begins_like_one(head):
        with allowance.holding():
            look_into(compressed.unpacked(file, allowance), allowance)


def _seven_zip(file: BinaryIO, allowance: Allowance) -> None:
    seven_zip.check(file)
    _entries(file, allowance, "7zip", solid=True)


def _cabinet(file: BinaryIO, allowance: Allowance) -> None:
    cabinet.check(file, allowance)
    _entries(file, allowance, "cab")


def _disc_image(file: BinaryIO, allowance: Allowance) -> None:
    disc_image.check(file)
    for tree in disc_image.TREES:
        _entries(file, allowance, "iso9660", options=tree)


def _ole(file: BinaryIO, allowance: Allowance) -> None:
    ole.check(file)
    for embedded in ole.embedded(file, allowance):
        look_into(embedded, allowance)


def _entries(file: BinaryIO, allowance: Allowance, form: str, *, solid: bool = False, options: str = "") -> None:
    for content in archive_reader.contents(file, form, _HEAD, allowance, solid=solid, options=options):
        allowance.check_time()
        if _check_for(content.head) or pgp.begins_like_one(content.head):
            look_into(content.open(), allowance)


def _read_as(form: str) -> Callable[[BinaryIO, Allowance], None]:
    return lambda file, allowance: _entries(file, allowance, form)


def _unknown(_file: BinaryIO, _allowance: Allowance) -> None:
    raise unopenable("it holds an archive of a kind that the scanner does not unpack")


def _encrypted(_file: BinaryIO, _allowance: Allowance) -> None:
    raise encrypted("a disk image")


def _alone(check: Callable[[BinaryIO], None]) -> Callable[[BinaryIO, Allowance], None]:
    return lambda file, _allowance: check(file)


def _starting(*signatures: bytes) -> re.Pattern[bytes]:
    return re.compile(b"|".join(map(re.escape, signatures)), re.DOTALL)


_KINDS = (
    _Kind(_starting(zip_directory.LOCAL, zip_directory.END), _zip),
    _Kind(_starting(rar.RAR4, rar.RAR5), _alone(rar.check)),
    _Kind(_starting(seven_zip.SIGNATURE), _seven_zip),
    _Kind(_starting(ole_streams.SIGNATURE), _ole),
    _Kind(re.compile(rb".{0,1019}%PDF-", re.DOTALL), pdf.check),
    _Kind(re.compile(rb".{%d}%s" % (tape.MAGIC_AT, tape.MAGIC), re.DOTALL), _tape),
    _Kind(re.compile(rb"\x1f\x8b\x08|BZh[1-9](?:1AY&SY|\x17rE8P\x90)|\xfd7zXZ\0", re.DOTALL), _compressed),
    _Kind(_starting(cabinet.SIGNATURE + bytes(4)), _cabinet),
    _Kind(re.compile(rb"xar!\0.\0\x01", re.DOTALL), _read_as("xar")),
    _Kind(re.compile(rb".{2}-(?:lh|lz|pm)[0-9a-z]-.{13}[\0-\3]", re.DOTALL), _read_as("lha")),
    # cpio: in text, or binary with either byte first, then by the mode and the length of the name.
    _Kind(
        re.compile(
            rb"07070[12][0-9A-Fa-f]{104}|070707[0-7]{70}"
            rb"|\xc7\x71.{5}[\x10-\xcf].{13}[\0-\4]|\x71\xc7.{4}[\x10-\xcf].{13}[\0-\4]",
            re.DOTALL,
        ),
        _read_as("cpio"),
    ),
    # Zstandard, LZ4, lzip, lzma, compress, lrzip, rzip, ZPAQ, ACE, WIM, StuffIt, zoo, ar (also Debian's packages), RPM,
    # WARC, zisofs: clamd says OK to all of them.
    _Kind(
        re.compile(
            rb"\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|LZIP\x01|\x5d\0\0.{2}(?:\xff{8}|.{5}\0\0\0)|\x1f\x9d[\x89-\x90]"
            rb"|LRZI\0|RZIP\x02|7kSt\xa0|zPQ[\x01\x02]|.{7}\*\*ACE\*\*|MSWIM\0\0\0|StuffIt \(c\)1997-|SIT!.{6}rLau"
            rb"|ZOO \d\.\d\d Archive\.\x1a|!<arch>\n|\xed\xab\xee\xdb|WARC/[01]\.|\x37\xe4\x53\x96\xc9\xdb\xd6\x07",
            re.DOTALL,
        ),
        _unknown,
    ),
    # ARJ, EGG, ALZ, and what Microsoft's COMPRESS.EXE has made: clamd alone opens them, or only later versions do.
    _Kind(
        re.compile(
            rb"\x60\xea.[\0-\x0a][\x1e-\x40].{2}[\0-\x0f].{2}\x02|EGGA\0\x01|ALZ\x01|SZDD\x88\xf0\x27\x33|KWAJ\x88\xf0\x27\xd1",
            re.DOTALL,
        ),
        _unknown,
    ),
    _Kind(_starting(b"LUKS\xba\xbe", b"encrcdsa", b"AES\2\0", b"Salted__"), _encrypted),
    # Last, for what is told by the beginning is that. An image of raw sectors is one that only clamd reads.
    _Kind(re.compile(rb".{%d}(?:%s|BEA01)" % (disc_image.MAGIC_AT, disc_image.MAGIC), re.DOTALL), _disc_image),
    _Kind(re.compile(rb".{%d}%s" % (disc_image.RAW_MAGIC_AT, disc_image.MAGIC), re.DOTALL), _unknown),
)
