"""Archives: ordinary ones, encrypted ones, and those that show different files to different programs.

Where it matters, what ClamAV 1.4.6 of Debian answers with our configuration stands beside the case, as "clamd: …".
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import py7zr
import pyzipper

from ops.samples import documents
from tests import images
from tests.corpus import rar_builder
from tests.corpus.archive_makers import (
    TEXT,
    appended,
    bzip2_bomb,
    commented,
    covering,
    demanding,
    different,
    empty_entries,
    flagged,
    folders,
    holding,
    into_directory,
    locked,
    lz4,
    nested,
    noise,
    one,
    quoted,
    seven,
    streamed,
    tape,
    twice,
    unlisted,
    wide,
    zstandard,
)
from tests.corpus.case import Case
from tests.corpus.zip_builder import DEFLATED, DEFLATED64, STORED, Told, Zip, deflated, ordinary, told
from worker.canaries import nested_zip
from worker.scan import ReasonCode, Status

_ZIP, _SEVEN, _RAR = "application/zip", "application/x-7z-compressed", "application/vnd.rar"
_ENC, _LIM, _NOT = ReasonCode.ENCRYPTED, ReasonCode.SCAN_LIMITS_EXCEEDED, ReasonCode.TYPE_NOT_ALLOWED
_TWO = ReasonCode.TYPE_MISMATCH


def _case(name: str, make: Callable[[], bytes], *codes: ReasonCode, **more: Any) -> Case:
    filename, media_type = more.pop("filename", "a.zip"), more.pop("type", _ZIP)
    status = Status.UNSCANNABLE if codes else Status.CLEAN
    status = Status.REJECTED if {_NOT, _TWO} & set(codes) else status
    return Case("archives", name, filename, make, status, frozenset(codes), type=media_type, **more)


def _in_zip(name: str, data: Callable[[], bytes], *codes: ReasonCode) -> Case:
    return _case(f"zip with {name}", holding(name, data), *codes)


def _seven(name: str, method: dict[str, int] | None, *codes: ReasonCode) -> Case:
    """As such, the default policy takes no 7z; inside a zip, it must be one that the scanner unpacks."""
    filters = [method] if method else None
    return _in_zip(f"{name}.7z", lambda: seven(filters), *codes)


def _plain(name: str = "a.txt") -> bytes:
    return ordinary((name, TEXT))


def _true() -> Told:
    return told(b"a.txt", TEXT)


_ORDINARY = (
    _case("of text", _plain),
    _case("empty", ordinary),
    _case("stored", lambda: ordinary(("a.txt", TEXT), method=zipfile.ZIP_STORED)),
    _case("bzip2", lambda: ordinary(("a.txt", TEXT), method=zipfile.ZIP_BZIP2)),
    _case("of noise, many megabytes", lambda: ordinary(("a.bin", noise(5 << 20)))),
    _case("of zeros, many megabytes", lambda: ordinary(("a.bin", bytes(64 << 20)))),
    _case("written to a pipe", streamed),
    _case("with zip64 fields", wide),
    _case("with a zip64 directory", lambda: _single().wide()),
    _case("with a comment", commented),
    _case("added to", appended),
    _case("of 3,000 folders", lambda: folders(3000)),
    _case("of 10,000 files", lambda: ordinary(*((f"{number}.txt", str(number)) for number in range(10_000)))),
    _case("with names of other scripts", lambda: ordinary(("Žerjav/船.txt", TEXT), ("العربية.txt", TEXT))),
    _case("padded with zeros", lambda: _plain() + bytes(512)),
    _case("five deep", lambda: nested(5)),
    _case("of pictures, stored", holding("a.jpg", lambda: images.encode(images.photo(), "JPEG"), zipfile.ZIP_STORED)),
    _case("of a PDF, stored", holding("a.pdf", documents.pdf, zipfile.ZIP_STORED)),
    _case("of a page, stored", holding("a.html", lambda: b"<!doctype html><html><body>", zipfile.ZIP_STORED)),
    _in_zip("a.docx", documents.word_document),
    _in_zip("a.tar", lambda: tape(("a.txt", TEXT))),
    _in_zip("a.tar.gz", lambda: gzip.compress(tape(("a.txt", TEXT), ("b.zip", _plain())))),
    _in_zip("a.bz2", lambda: bz2.compress(TEXT)),
    _in_zip("a.xz", lambda: lzma.compress(TEXT)),
    _seven("usual", None),
    _seven("LZMA", {"id": py7zr.FILTER_LZMA}),
    _seven("copied", {"id": py7zr.FILTER_COPY}),
)

_ENCRYPTED = (
    _case("with ZipCrypto's flag", lambda: flagged(1, 1), _ENC),  # clamd: Heuristics.Encrypted.Zip
    _case("WinZip's AES, 128 bits", lambda: locked(pyzipper.WZ_AES, 128), _ENC),
    _case("WinZip's AES, 256 bits", lambda: locked(pyzipper.WZ_AES), _ENC),
    _case("encrypted by the local header alone", lambda: flagged(1, 0), _LIM, _ENC),
    _case("encrypted by the directory alone", lambda: flagged(0, 1), _LIM),  # clamd: OK
    _in_zip("encrypted.zip", lambda: locked(pyzipper.WZ_AES), _ENC),
    _in_zip("encrypted.7z", lambda: seven(password="secret"), _ENC),
    _in_zip("nameless.7z", lambda: seven(password="secret", names=True), _ENC),
    _in_zip("encrypted4.rar", lambda: rar_builder.rar4(encrypted=True), _ENC),  # clamd: OK, as to all RAR
    _in_zip("nameless4.rar", lambda: rar_builder.rar4(headers=True), _ENC),
    _in_zip("encrypted5.rar", lambda: rar_builder.rar5(encrypted=True), _ENC),
    _in_zip("nameless5.rar", lambda: rar_builder.rar5(headers=True), _ENC),
    _case("7z, encrypted", lambda: seven(password="x"), _NOT, _ENC, filename="a.7z", type=_SEVEN),
    _case("7z, names too", lambda: seven(password="x", names=True), _NOT, _ENC, filename="a.7z", type=_SEVEN),
    _case("RAR 4, encrypted", lambda: rar_builder.rar4(encrypted=True), _NOT, _ENC, filename="a.rar", type=_RAR),
    _case("RAR 4, names too", lambda: rar_builder.rar4(headers=True), _NOT, _ENC, filename="a.rar", type=_RAR),
    _case("RAR 5, encrypted", lambda: rar_builder.rar5(encrypted=True), _NOT, _ENC, filename="a.rar", type=_RAR),
    _case("RAR 5, names too", lambda: rar_builder.rar5(headers=True), _NOT, _ENC, filename="a.rar", type=_RAR),
)

_UNOPENED = (  # clamd: OK to each
    _case("RAR 4", rar_builder.rar4, _NOT, _LIM, filename="a.rar", type=_RAR),
    _case("RAR 5", rar_builder.rar5, _NOT, _LIM, filename="a.rar", type=_RAR),
    _in_zip("a.rar", rar_builder.rar5, _LIM),
    _in_zip("rar called a.txt", rar_builder.rar4, _LIM),
    _in_zip("rar.tar", lambda: tape(("a.rar", rar_builder.rar5())), _LIM),
    _in_zip("rar.tar.gz", lambda: gzip.compress(tape(("a.rar", rar_builder.rar5()))), _LIM),
    _in_zip("rar.xz", lambda: lzma.compress(rar_builder.rar5()), _LIM),
    _in_zip("rar.bz2", lambda: bz2.compress(rar_builder.rar5()), _LIM),
    _in_zip("large rar.bz2", lambda: bz2.compress(rar_builder.rar5(noise(200_000))), _LIM),
    _in_zip("xz of 2 GiB of memory", lambda: demanding(TEXT, 31), _LIM),  # clamd: Heuristics.XZ.DicSizeLimit
    _in_zip("rar behind an empty one.gz", lambda: gzip.compress(b"") + gzip.compress(rar_builder.rar5()), _LIM),
    _in_zip("rar.zip", holding("a.rar", rar_builder.rar5), _LIM),
    _seven("BZip2", {"id": py7zr.FILTER_BZIP2}, _LIM),
    _seven("Deflate", {"id": py7zr.FILTER_DEFLATE}, _LIM),
    _seven("Zstandard", {"id": py7zr.FILTER_ZSTD, "level": 3}, _LIM),
    _seven("PPMd", {"id": py7zr.FILTER_PPMD, "order": 6, "mem": 16}, _LIM),
    _in_zip("cut.7z", lambda: seven()[:-20], _LIM),
    _in_zip("a.zst", lambda: zstandard(TEXT[:100]), _LIM),
    _in_zip("a.lz4", lambda: lz4(TEXT), _LIM),
    _in_zip("a.lzma", lambda: lzma.compress(TEXT, lzma.FORMAT_ALONE), _LIM),
    _case("LZMA", lambda: ordinary(("a.txt", TEXT), method=zipfile.ZIP_LZMA), _LIM),
    *(_case(f"method {number}", one(told(b"a", TEXT, number)), _LIM) for number in (1, 5, 10, 93, 95, 98)),
    _case("deflate64", one(Told(b"a", deflated(TEXT), len(TEXT), zlib.crc32(TEXT), DEFLATED64)), _LIM),
    _case("rar behind empty blocks of deflate", lambda: _behind_nothing(rar_builder.rar5()), _LIM),
)

_DIFFERENT = (  # programs would unpack different files
    _case("the directory names another file", different(name=b"b.txt"), _LIM),
    _case("the directory tells another size", different(size=5), _LIM),
    _case("the directory tells another packed size", different(packed=5), _LIM),
    _case("the directory says stored", different(method=STORED), _LIM),
    _case("the local header says 0 bytes", different(local=True, packed=0, size=0), _LIM),  # clamd: OK
    _case("an entry that is not listed, behind", unlisted(first=False), _LIM),  # clamd: OK, also with EICAR in it
    _case("an entry that is not listed, in front", unlisted(first=True), _LIM, _TWO),  # likewise
    _case("one entry listed twice", twice, _LIM),  # clamd: OK
    _case("entries quoted in one another", quoted, _LIM),
    _case("entries that hold all that follow", lambda: covering(20), _LIM),  # clamd: Heuristics.Zip.OverlappingFiles
    _case("an entry that holds the directory that lists it", into_directory, _LIM),
    _case("cut in half", lambda: _plain()[: len(_plain()) // 2], _LIM),
    _case("without its directory", lambda: _plain()[:-22], _LIM),
    _case("with a broken directory", lambda: _plain().replace(b"PK\1\2", b"PK\1\3"), _LIM),
    _case("claiming two entries", lambda: _single().whole(count=2), _LIM),
    _case("with the directory elsewhere", lambda: _single().whole(offset=1 << 30), _LIM),
    _case("zip64 that tells another count", lambda: _single().wide(claimed=7), _LIM),
    _case("a zip in the comment of a zip", lambda: _single().whole(comment=_plain("b.txt")), _LIM, _TWO),  # clamd: OK
    _case("100 bytes by its header, 64 MiB by bzip2", bzip2_bomb, _LIM),
    _case("an entry of 3 GiB", one(Told(b"a", b"\0" * 3000, 3 << 30, 0, DEFLATED)), _LIM),  # clamd: OK above 2 GiB
    _case("broken deflate in an archive inside", holding("a.zip", lambda: _broken_inside()), _LIM),
    _case("seven deep", lambda: nested(7), _LIM),  # clamd: OK
    _case("64 deep", nested_zip, _LIM),  # clamd: Heuristics.Limits.Exceeded.MaxRecursion
    _case("of 6,000 empty entries", lambda: empty_entries(6000), _LIM),  # clamd: OK, after 6 s; 20,000 take it 90 s
    _case("of 6,000 empty entries in six archives", lambda: _sixfold(), _LIM),
)


def _single() -> Zip:
    archive = Zip()
    archive.add(_true())
    return archive


def _broken_inside() -> bytes:
    archive = Zip()
    archive.add(Told(b"b.zip", b"\xff" * 50, 500, 0))
    return archive.whole()


def _behind_nothing(data: bytes) -> bytes:
    packed = b"\0\0\0\xff\xff" * 1000 + deflated(data)
    return one(Told(b"a.txt", packed, len(data), zlib.crc32(data)))()


def _sixfold() -> bytes:
    return ordinary(*((f"{number}.zip", empty_entries(1000)) for number in range(6)))


CASES: tuple[Case, ...] = _ORDINARY + _ENCRYPTED + _UNOPENED + _DIFFERENT
