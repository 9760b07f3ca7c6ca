"""The readers of containers, in this process: their bounds, and that nothing in a file makes them stumble."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
from collections.abc import Callable
from typing import BinaryIO

import pytest

from tests.corpus import archive_makers, ole_builder, rar_builder
from tests.corpus import media_builder as media
from tests.corpus.zip_builder import STORED, Zip, ordinary, told
from worker.sandbox import Refused, allowance, polyglots
from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import Closed
from worker.sandbox.containers import (
    base_media,
    compressed,
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


_RAR = rar_builder.rar5(archive_makers.noise(200_000))
_TAPE = archive_makers.tape(("a", b"x"), ("b", _RAR))
_IN_COMPRESSION = {
    "bzip2, in a block of more than 64 KiB": bz2.compress(_RAR),
    "gzip, behind an empty one": gzip.compress(b"") + gzip.compress(_RAR),
    "bzip2, behind an empty one": bz2.compress(b"") + bz2.compress(_RAR),
    "xz, behind an empty one and padding": lzma.compress(b"") + bytes(8) + lzma.compress(_RAR),
    "gzip, a letter in the first": gzip.compress(_RAR[:1]) + gzip.compress(_RAR[1:]),
    "tar, in two gzips": gzip.compress(_TAPE[:1024]) + gzip.compress(_TAPE[1024:]),
    "xz, with a dictionary of 512 MiB": archive_makers.demanding(_RAR, 29),
}


@pytest.mark.parametrize("how", _IN_COMPRESSION)
def test_an_archive_that_nobody_opens_is_seen_however_it_is_compressed(how: str) -> None:
    """ClamAV unpacks each of them, and says OK to the RAR."""
    assert _codes(_IN_COMPRESSION[how]) == (ReasonCode.SCAN_LIMITS_EXCEEDED, False)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_was_compressed_in_several_pieces_is_read_as_one(compress: Callable[[bytes], bytes]) -> None:
    """As pigz, bgzip and pbzip2 write it."""
    whole = archive_makers.tape(("a", b"x" * 3000), ("b", archive_makers.noise(200_000)))
    pieces = b"".join(compress(whole[start : start + 1000]) for start in range(0, len(whole), 1000))
    assert compressed.unpacked(io.BytesIO(pieces), Allowance()).getvalue() == whole  # type: ignore[attr-defined]
    assert _codes(pieces) is None


def test_a_look_into_files_that_are_slow_to_unpack_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """136 bytes each, of which a thousand take seconds: a hundred thousand would keep a worker busy for minutes."""
    slow = bz2.compress(b"ab" * 449_000)
    monkeypatch.setattr(allowance, "_SECONDS", 0.2)
    assert _codes(ordinary(("a.bz2", slow))) is None
    many = ordinary(*((f"{number}.bz2", slow) for number in range(2000)), method=zipfile.ZIP_STORED)
    assert _codes(many) == (ReasonCode.SCAN_TIMED_OUT, False)
    assert _codes(archive_makers.tape(*((f"{number}", slow) for number in range(2000)))) == (
        ReasonCode.SCAN_TIMED_OUT,
        False,
    )
    assert _codes(gzip.compress(b"") * 100_000) == (ReasonCode.SCAN_TIMED_OUT, False)


def test_many_documents_in_an_archive_are_no_bomb_however_large_they_are_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A year's invoices, as PDF or docx, which programs compress again; only one of them is in memory at a time."""
    monkeypatch.setattr(allowance, "_UNPACKED", 1 << 20)
    document = ordinary(("a.bin", bytes(600_000)), method=zipfile.ZIP_STORED)
    assert _codes(ordinary(*((f"{number}.docx", document) for number in range(5)))) is None
    within = Zip()
    within.add(told(b"a.bin", bytes(600_000), STORED))
    within.add(told(b"b.docx", document))
    with pytest.raises(Closed, match="compressed again"):
        inside.look_into(io.BytesIO(gzip.compress(within.whole())), Allowance())
