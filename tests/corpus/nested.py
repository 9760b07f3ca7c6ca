"""What lies in archives that clamd opens, in a zip: the clean, the infected, and what clamd passes over in silence.

To all that is unscannable here ClamAV 1.4.6 of Debian says OK, unless "clamd: …" stands beside it.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zipfile
from collections.abc import Callable

import pyzipper

from ops.samples import documents
from tests import images
from tests.corpus import ole_builder, rar_builder, seven_builder
from tests.corpus.archive_makers import TEXT, holding, locked, noise, one, seven, tape, zstandard
from tests.corpus.case import Case
from tests.corpus.container_makers import Entry, arj, binary_cpio, cabinet, lha, rpm, written
from tests.corpus.zip_builder import DEFLATED64, Told, ordinary
from worker.canaries import eicar
from worker.scan import ReasonCode, Status

_ENC, _LIM, _FOUND = ReasonCode.ENCRYPTED, ReasonCode.SCAN_LIMITS_EXCEEDED, ReasonCode.SIGNATURE_FOUND
_IMPLODED = 6
_NATIVE = "\x01Ole10Native"
Archiver = Callable[..., bytes]


def _by_libarchive(form: str, options: str = "") -> Archiver:
    return lambda *entries: written(form, *entries, options=options)


_ARCHIVERS: dict[str, Archiver] = {
    "7z": _by_libarchive("7zip"),
    "cab": cabinet,
    "stored cab": lambda *entries: cabinet(*entries, packed=False),
    "new cpio": _by_libarchive("cpio_newc"),
    "old cpio": _by_libarchive("cpio"),
    "binary cpio": binary_cpio,
    "binary cpio, the other way": lambda *entries: binary_cpio(*entries, order=">"),
    "iso": _by_libarchive("iso9660"),
    "iso without Joliet": _by_libarchive("iso9660", "!joliet"),
    "xar": _by_libarchive("xar"),
    "lha": lha,
}


def _case(name: str, make: Callable[[], bytes], *codes: ReasonCode, seconds: float | None = None) -> Case:
    status = Status.INFECTED if _FOUND in codes else Status.UNSCANNABLE if codes else Status.CLEAN
    file = holding("a.bin", make)
    return Case("nested", name, "a.zip", file, status, frozenset(codes), type="application/zip", seconds=seconds)


def _each(what: str, entries: Callable[[], tuple[Entry, ...]], *codes: ReasonCode) -> tuple[Case, ...]:
    """The same in every kind of archive."""

    def packed(archiver: Archiver) -> Callable[[], bytes]:
        return lambda: archiver(*entries())

    return tuple(_case(f"{kind} with {what}", packed(archiver), *codes) for kind, archiver in _ARCHIVERS.items())


def _files() -> tuple[Entry, ...]:
    photo = images.encode(images.photo(), "JPEG")
    letter = documents.word_document()
    return (
        ("a.txt", TEXT),
        ("b.jpg", photo),
        ("c.docx", letter),
        ("d.bin", noise(100_000)),
        ("e.tar", tape(("f", TEXT))),
    )


def _behind_text(name: str, data: Callable[[], bytes]) -> Callable[[], tuple[Entry, ...]]:
    return lambda: (("a.txt", TEXT), (name, data()))


def _zipped_rar() -> bytes:
    return ordinary(("a.rar", rar_builder.rar5()))


def _large_rar() -> bytes:
    """Its first bytes come out of bzip2 only with the whole block."""
    return rar_builder.rar5(noise(300_000))


_WALKED = (
    *_each("files", _files),
    *_each("EICAR", _behind_text("a.com", eicar), _FOUND),
    *_each("a RAR", _behind_text("a.rar", rar_builder.rar5), _LIM),
    *_each("a RAR in a zip", _behind_text("a.zip", _zipped_rar), _LIM),
    *_each("an encrypted zip", _behind_text("a.zip", lambda: locked(pyzipper.WZ_AES)), _ENC),  # clamd: Heuristics.…
    *_each("an encrypted 7z", _behind_text("a.7z", lambda: seven(password="x")), _ENC),
    *_each("a Zstandard", _behind_text("a.zst", lambda: zstandard(TEXT[:100])), _LIM),
)

_CLAMD_ALONE = (
    _case("ARJ", lambda: arj(("a.txt", TEXT)), _LIM),
    _case("ARJ with EICAR", lambda: arj(("a.com", eicar())), _LIM, _FOUND),
    _case("ar", lambda: written("ar_bsd", ("a.com", eicar())), _LIM),  # clamd does not open it
    _case("RPM", lambda: rpm(gzip.compress(written("cpio_newc", ("a.com", eicar())))), _LIM),  # likewise
    _case("WARC", lambda: written("warc", ("a.com", eicar())), _LIM),  # likewise
    _case("an image of raw sectors", lambda: bytes(37_649) + b"CD001" + bytes(2000), _LIM),
    _case("an image in UDF", lambda: bytes(32_769) + b"BEA01" + bytes(8000), _LIM),
    _case("an imploded entry", one(Told(b"a", b"\0" * 30, 100, 0, _IMPLODED)), _LIM),
    _case("a deflate64 entry", one(Told(b"a", b"\3\0", 0, 0, DEFLATED64)), _LIM),
)

_BROKEN = (
    _case("7z that ends early", lambda: written("7zip", *_files())[:-1], _LIM),
    _case("cpio that ends early", lambda: written("cpio_newc", ("a", TEXT))[:900], _LIM),
    _case("cab that ends early", lambda: cabinet(("a", TEXT))[:-20], _LIM),
    _case("cab in two parts", lambda: cabinet(("a", TEXT))[:30] + b"\1" + cabinet(("a", TEXT))[31:], _LIM),
    _case("lha by an old method", lambda: lha(("a", TEXT)).replace(b"-lh0-", b"-lh1-"), _LIM),
)

_STREAMS = (  # several in one file, that unpack to one
    _case("gzip in two parts", lambda: gzip.compress(TEXT) + gzip.compress(TEXT)),
    _case("xz in two parts", lambda: lzma.compress(TEXT) + bytes(4) + lzma.compress(TEXT)),
    _case("RAR in the second part of a gzip", lambda: gzip.compress(b"") + gzip.compress(rar_builder.rar5()), _LIM),
    _case("RAR in the second part of an xz", lambda: lzma.compress(b"") + lzma.compress(rar_builder.rar5()), _LIM),
    _case("bzip2 in two parts", lambda: bz2.compress(TEXT) + bz2.compress(eicar()), _LIM),
    _case("large RAR in a bzip2", lambda: bz2.compress(_large_rar()), _LIM),
    _case("large RAR in a zip by bzip2", holding("a.rar", _large_rar, zipfile.ZIP_BZIP2), _LIM),
)

_BOMBS = (
    _case("7z of 10 GB of zeros", lambda: seven_builder.zeros(5000), _LIM, seconds=2),
    _case("7z of 300 MB of zeros, a RAR behind them", lambda: _rar_behind(150), _LIM, seconds=2),
    _case("7z of 100 MB of zeros, a RAR behind them", lambda: _rar_behind(50), _LIM, seconds=3),
    _case("7z of 100 MB of zeros", lambda: seven_builder.zeros(50, TEXT), seconds=3),
    _case("seven kinds in one another", lambda: _in_one_another(7), _LIM),
    _case("five kinds in one another", lambda: _in_one_another(5)),
)


def _rar_behind(runs: int) -> bytes:
    return seven_builder.zeros(runs, rar_builder.rar5())


def _in_one_another(depth: int) -> bytes:
    data = TEXT
    for _, archiver in zip(range(depth), _ARCHIVERS.values(), strict=False):
        data = archiver(("a.bin", data))
    return data


def _letter(name: str, stream: str, make: Callable[[], bytes], *codes: ReasonCode) -> Case:
    """A document of Word 97 with something in it."""

    def document() -> bytes:
        return ole_builder.compound({"WordDocument": bytes(4096), "1Table": bytes(4096), stream: make()})

    status = Status.UNSCANNABLE if codes else Status.CLEAN
    return Case("nested", f"letter with {name}", "a.doc", document, status, frozenset(codes), type="application/msword")


def _dragged(make: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: ole_builder.dragged_in("a.bin", make())


_EMBEDDED = (
    _letter("a picture dragged in", _NATIVE, _dragged(lambda: images.encode(images.photo(), "JPEG"))),
    _letter("a letter dragged in", _NATIVE, _dragged(documents.word_document)),
    _letter("a letter embedded", "Package", documents.word_document),
    _letter("a PDF embedded", "CONTENTS", documents.pdf),
    _letter("a bitmap that Paint drew", _NATIVE, lambda: struct.pack("<I", 3000) + b"BM" + bytes(2998)),
    _letter("a RAR dragged in", _NATIVE, _dragged(rar_builder.rar5), _LIM),
    _letter("an encrypted letter embedded", "Package", lambda: locked(pyzipper.WZ_AES), _ENC),
    _letter("a RAR in a 7z dragged in", _NATIVE, _dragged(lambda: written("7zip", ("a", rar_builder.rar5()))), _LIM),
)

CASES: tuple[Case, ...] = _WALKED + _CLAMD_ALONE + _BROKEN + _STREAMS + _BOMBS + _EMBEDDED
