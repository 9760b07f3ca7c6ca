"""The readers of containers, in this process: their bounds, and that nothing in a file makes them stumble."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from typing import BinaryIO

import pytest

from tests.corpus import archive_makers, container_makers, ole_builder, rar_builder
from tests.corpus import media_builder as media
from tests.corpus.zip_builder import STORED, Zip, ordinary, told
from worker.sandbox import Refused, polyglots
from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import Closed
from worker.sandbox.containers import (
    base_media,
    frames,
    inside,
    markup,
    matroska,
    ogg,
    ole,
    open_xml,
    pdf,
    pgp,
    rar,
    seven_zip,
    text,
    zipped,
)
from worker.sandbox.containers.window import at, size_of, window
from worker.scan import ReasonCode

_SEEDS: dict[str, Callable[[], bytes]] = {
    "zip": lambda: archive_makers.nested(3),
    "zip64": archive_makers.wide,
    "7z": archive_makers.seven,
    "7z, encrypted": lambda: archive_makers.seven(password="x"),
    "RAR 4": rar_builder.rar4,
    "RAR 5": lambda: rar_builder.rar5(encrypted=True),
    "tar": lambda: archive_makers.tape(("a", b"x" * 600), ("b", b"y")),
    "cab": lambda: container_makers.cabinet(("a", b"x" * 600), ("b.zip", archive_makers.nested(2))),
    "cpio": lambda: container_makers.written("cpio_newc", ("a", b"x" * 600), ("b.7z", archive_makers.seven())),
    "ISO 9660": lambda: container_makers.written("iso9660", ("a", b"x" * 600), ("b.zip", archive_makers.nested(2))),
    "xar": lambda: container_makers.written("xar", ("a", b"x" * 600), ("b.zip", archive_makers.nested(2))),
    "LHA": lambda: container_makers.lha(("a", b"x" * 600), ("b.zip", archive_makers.nested(2))),
    "Word": ole_builder.word,
    "PowerPoint": ole_builder.powerpoint,
    "MP3": lambda: media.tag((b"TIT2", b"\0x")) + media.MP3,
    "MP4": lambda: media.movie(b"isom"),
    "Ogg": lambda: media.ogg(media.SKELETON, media.THEORA),
    "Matroska": lambda: media.matroska(b"webm"),
}
_READERS = (
    base_media.inner_type,
    base_media.is_movie,
    frames.inner_type,
    markup.inner_type,
    matroska.inner_type,
    ogg.inner_type,
    ole.inner_type,
    pdf.begin,
    pgp.is_encrypted,
    text.is_text,
    zipped.inner_type,
    zipped.hidden_type,
    lambda file: polyglots.also("application/pdf", file),
    lambda file: polyglots.also("application/zip", file),
)
_CHECKS = (ole.check, rar.check, seven_zip.check, lambda file: inside.look_into(file, Allowance()))


def _changed(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8))):
        place = rng.randrange(len(changed))
        change = rng.randrange(3)
        if change == 0:
            changed[place : place + 4] = rng.choice((bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f", rng.randbytes(4)))
        elif change == 1:
            changed[place : place + rng.randrange(64)] = rng.randbytes(rng.randrange(16))
        else:
            del changed[max(1, place) :]
    return bytes(changed)


@pytest.mark.parametrize("kind", _SEEDS)
def test_no_reader_stumbles_over_what_is_broken(kind: str) -> None:
    rng, data = random.Random(kind), _SEEDS[kind]()
    for _ in range(60):
        file = io.BytesIO(_changed(data, rng))
        for reader in _READERS:
            reader(file)
        for check in _CHECKS:
            closed = _closed(check, file)
            assert closed is None or closed.code in (ReasonCode.ENCRYPTED, ReasonCode.SCAN_LIMITS_EXCEEDED)
            assert closed is None or closed.message.isprintable()


def _closed(check: Callable[[BinaryIO], None], file: BinaryIO) -> Refused | None:
    try:
        check(file)
    except Closed as closed:
        return closed.refused
    return None


def _codes(data: bytes) -> tuple[ReasonCode, bool] | None:
    try:
        inside.look_into(io.BytesIO(data), Allowance())
    except Closed as closed:
        return closed.refused.code, closed.exhausting
    return None


def test_bounds_count_for_all_archives_in_one_another_together() -> None:
    limit = ReasonCode.SCAN_LIMITS_EXCEEDED
    halves = ordinary(*((f"{half}.zip", archive_makers.empty_entries(2600)) for half in range(2)))
    assert _codes(ordinary(("a.zip", archive_makers.empty_entries(2600)))) is None
    assert _codes(halves) == (limit, True)
    assert _codes(archive_makers.nested(6)) is None
    assert _codes(archive_makers.nested(7)) == (limit, False)


def test_a_directory_that_lies_about_many_entries_is_exhausting_too() -> None:
    archive = Zip()
    for number in range(6000):
        archive.add(told(b"%d" % number, b"", STORED))
    assert _codes(archive.whole(count=3)) == (ReasonCode.SCAN_LIMITS_EXCEEDED, True)


def test_what_comes_out_of_compression_is_bounded() -> None:
    left = Allowance()
    left.unpack(200 << 20)
    with pytest.raises(Closed, match="compressed again"):
        left.unpack(100 << 20)
    with pytest.raises(Closed, match="unpacks to more"):
        Allowance().count(1, 0, 5 << 30)


def test_a_window_is_a_file_of_its_own() -> None:
    file = window(io.BytesIO(b"0123456789"), 2, 5)
    assert (size_of(file), at(file, 1, 2), at(file, 4, 9), at(file, 9, 1), at(file, -1, 5)) == (
        5,
        b"34",
        b"6",
        b"",
        b"",
    )
    file.seek(0)
    assert file.read() == b"23456"
    assert at(file, 1 << 70, 1) == b""


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_document_whose_table_does_not_fit_into_its_header(encrypted: bool) -> None:
    """Larger than 7 MB: the directory lies where only the list behind the header's own leads to. [MS-CFB] 2.5"""
    small = ole_builder.word(encrypted=encrypted)
    tables, rows = 120, 127
    filler = 110 * 128  # sectors, so that the directory is told in table 110
    last = filler + 4096 // 512
    table = [0xFFFFFFFF] * (128 * tables)
    table[filler : last + 1] = [*range(filler + 1, last), 0xFFFFFFFE, 0xFFFFFFFE]
    sectors = bytearray((last + 1) * 512)
    sectors[filler * 512 : last * 512] = at(io.BytesIO(small), 512 * 3, 4096)  # the stream WordDocument
    entries = [ole_builder.entry("Root Entry", 5, 0xFFFFFFFF, 1, 0xFFFFFFFE, 0)]
    entries.append(ole_builder.entry("WordDocument", 2, 0xFFFFFFFF, 0xFFFFFFFF, filler, 4096))
    sectors[last * 512 :] = b"".join(entries).ljust(512, b"\0")
    allocation = struct.pack(f"<{len(table)}I", *table)
    begin = len(sectors) // 512
    more = struct.pack(f"<{rows}I", *range(begin + 109, begin + tables), *[0xFFFFFFFF] * (rows - tables + 109))
    header = bytearray(small[:512])
    struct.pack_into("<I", header, 44, tables)
    struct.pack_into("<I", header, 48, last)
    struct.pack_into("<II", header, 68, begin + tables, 1)
    struct.pack_into("<109I", header, 76, *range(begin, begin + 109))
    file = io.BytesIO(bytes(header + sectors) + allocation + more + b"\xfe\xff\xff\xff")
    assert ole.inner_type(file) == "application/msword"
    if encrypted:
        with pytest.raises(Closed, match="encrypted"):
            ole.check(file)
    else:
        ole.check(file)


@pytest.mark.parametrize("encoding", ["windows-1252", "koi8-r", "utf-7", "rot13", "nonsense"])
def test_a_list_of_parts_in_an_encoding_that_would_have_to_be_loaded_is_none(encoding: str) -> None:
    part = '<Types><Override ContentType="application/vnd.ms-excel.sheet.macroEnabled.main+xml"/></Types>'
    assert open_xml.document_type(part.encode()) == "application/vnd.ms-excel.sheet.macroenabled.12"
    assert open_xml.document_type(f'<?xml version="1.0" encoding="{encoding}"?>{part}'.encode()) is None


@pytest.mark.parametrize(
    ("entry", "encrypted"),
    [
        (b"/Encrypt 5 0 R", True),
        (b"/Encrypt<</V 4>>", True),
        (b"/#45ncrypt%" + b"x" * 3000 + b"\n5 0 R", True),
        (b"/Encrypt" + b" " * 3000 + b"5 0 R", True),
        (b"/Encrypt 5" + b" " * 3000 + b"0 R", True),
        (b"/Encrypt 5 0 %" + b"\n" * 3000 + b"R", True),
        (b"(/Encrypt is a key, /Encrypt" + b" " * 100 + b"too, and /EncryptMetadata one more)", False),
    ],
)
@pytest.mark.parametrize("distance", [0, (1 << 20) - 2500])
def test_that_a_pdf_is_encrypted_shows_whatever_stands_between(entry: bytes, encrypted: bool, distance: int) -> None:
    """Also across the pieces in which it is read."""
    file = b"%PDF-1.7\n1 0 obj\n".ljust(distance) + entry
    assert _codes(file) == ((ReasonCode.ENCRYPTED, False) if encrypted else None)


def test_a_pdf_with_no_object_near_its_header_is_not_searched_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each digit may begin an object; 2 GiB of them took two minutes."""
    monkeypatch.setattr(pdf, "_OBJECT_WITHIN", 5000)
    digits = b"%PDF-1.4\n" + b"1 1 " * 1000
    assert pdf.begin(io.BytesIO(digits)) is None
    assert pdf.begin(io.BytesIO(digits + b"1 " * 1000)) == 0
