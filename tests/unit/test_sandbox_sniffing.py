"""Every type that the default policy knows, and what is taken for one, through the real sandbox."""

from __future__ import annotations

import io
import struct
import sys
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import images
from worker.sandbox import Sandbox
from worker.scan import ReasonCode

OPEN_XML = "application/vnd.openxmlformats-officedocument."
OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
NONE = 0xFFFFFFFF


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(memory=2 << 30, seconds=20, output=0)
    yield sandbox
    sandbox.close()


def archive(*entries: tuple[str, bytes | str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries:
            made.writestr(name, data)
    return file.getvalue()


def office(main_part: str, *others: str) -> bytes:
    """As LibreOffice and Google write it: what libmagic looks for stands at the end."""
    return archive(("docProps/app.xml", "x"), ("word/document.xml", "x" * 99), listed(main_part, *others))


def listed(*parts: str) -> tuple[str, str]:
    """The entry that says what a package consists of."""
    overrides = "".join(f'<Override PartName="/x" ContentType="{part}.main+xml"/>' for part in parts)
    return "[Content_Types].xml", f"<Types>{overrides}</Types>"


def open_document(kind: str) -> bytes:
    return archive(("content.xml", "x" * 99), ("mimetype", OPEN_DOCUMENT + kind))


def ole(*streams: str, storage: tuple[str, ...] = ()) -> bytes:
    """A compound file with these streams in its root, and a storage with streams of its own. [MS-CFB]"""
    entries = [("Root Entry", 5, NONE, 1)]
    entries += [(name, 2, index + 2 if index + 1 < len(streams) else NONE, NONE) for index, name in enumerate(streams)]
    if storage:
        inside = len(entries) + 1
        entries[-1] = (*entries[-1][:2], len(entries), NONE)
        entries.append(("ObjectPool", 1, NONE, inside))
        entries += [
            (name, 2, inside + index + 1 if index + 1 < len(storage) else NONE, NONE)
            for index, name in enumerate(storage)
        ]
    directory = b"".join(_ole_entry(*entry) for entry in entries)
    directory += bytes(-len(directory) % 512)
    sectors = len(directory) // 512
    table = [0xFFFFFFFD, *range(2, sectors + 1), 0xFFFFFFFE]
    allocation = struct.pack(f"<{len(table)}I", *table).ljust(512, b"\xff")
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        62,
        3,
        0xFFFE,
        9,
        6,
        0,
        1,
        1,
        0,
        4096,
        0xFFFFFFFE,
        0,
        0xFFFFFFFE,
        0,
    )
    return (header + struct.pack("<I", 0)).ljust(512, b"\xff") + allocation + directory


def _ole_entry(name: str, kind: int, right: int, child: int) -> bytes:
    encoded = name.encode("utf-16-le")
    return struct.pack("<64sHBBIII48x", encoded, len(encoded) + 2, kind, 1, NONE, right, child)


def base_media(*brands: bytes) -> bytes:
    return (
        struct.pack(">I4s4sI", 16 + 4 * len(brands[1:]), b"ftyp", brands[0], 0)
        + b"".join(brands[1:])
        + b"\0\0\x03\xe8moov".ljust(1000, b"\0")
    )


def matroska(kind: bytes) -> bytes:
    body = (
        b"\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82" + bytes([0x80 | len(kind)]) + kind
    )
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(body)]) + body + b"\x18\x53\x80\x67".ljust(100, b"\0")


def ogg(payload: bytes) -> bytes:
    return b"OggS\0\x02" + bytes(8) + b"\1\0\0\0" + bytes(8) + b"\1" + bytes([len(payload)]) + payload


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as made:
        made.setparams((1, 2, 8000, 0, "NONE", ""))
        made.writeframes(bytes(800))
    return file.getvalue()


MP3_FRAMES = (b"\xff\xfb\x90\x00" + bytes(413)) * 5
ID3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
AAC_FRAMES = (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 5
AVI = b"RIFF" + struct.pack("<I", 1000) + b"AVI LIST" + struct.pack("<I", 500) + b"hdrlavih" + bytes(900)
THEORA = b"\x80theora\3\2\1\0\x14\0\x0f\0\1\x40\0\0\xf0\0\0\0\0\0\x1e\0\0\0\1" + bytes(13)
WORD = OPEN_XML + "wordprocessingml.document"

EXPECTED: list[tuple[str, bytes]] = [
    ("image/jpeg", images.encode(images.photo(), "JPEG")),
    ("image/png", images.encode(images.photo(), "PNG")),
    ("image/png", images.encode_film(images.film(2), "PNG")),
    ("image/gif", images.encode(images.photo(), "GIF")),
    ("image/webp", images.encode(images.photo(), "WEBP")),
    ("image/avif", images.encode(images.photo(), "AVIF", speed=10)),
    ("image/heic", images.encode(images.photo(), "HEIF")),
    ("image/tiff", images.encode(images.photo(), "TIFF")),
    ("image/bmp", images.encode(images.photo(), "BMP")),
    ("image/heic", base_media(b"mif1", b"mif1", b"heic")),
    ("image/avif", base_media(b"mif1", b"mif1", b"avif", b"miaf")),
    ("image/avif", base_media(b"avis", b"msf1")),
    ("image/heic-sequence", base_media(b"msf1", b"hevc")),
    ("application/pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"),
    ("text/plain", "Grüße\n".encode()),
    ("text/plain", "Grüße\n".encode("utf-16")),
    ("text/plain", "Grüße\n".encode("latin-1")),
    ("text/plain", b"x"),
    ("text/plain", b"\n"),
    ("text/plain", b"name;age\nx;1\n" * 3),
    ("text/csv", b"name,age,town\nx,1,y\nz,2,w\n" * 3),
    ("application/json", b'{"a": [1, 2, {"b": null}]}\n'),
    ("application/json", b"[1, 2, 3]"),
    ("application/msword", ole("WordDocument", "1Table")),
    ("application/vnd.ms-excel", ole("Workbook")),
    ("application/vnd.ms-excel", ole("Book")),
    ("application/vnd.ms-powerpoint", ole("Current User", "Pictures", "PowerPoint Document", "x", "y")),
    ("application/msword", ole("1Table", "WordDocument", storage=("Workbook", "x"))),
    ("application/encrypted", ole("EncryptionInfo", "EncryptedPackage")),
    (WORD, office(WORD)),
    (WORD, archive(listed(WORD), ("_rels/.rels", "x"), ("word/document.xml", "x"))),
    (OPEN_XML + "spreadsheetml.sheet", office(OPEN_XML + "spreadsheetml.sheet")),
    (OPEN_XML + "presentationml.presentation", office(OPEN_XML + "presentationml.presentation")),
    ("application/vnd.ms-word.document.macroenabled.12", office("application/vnd.ms-word.document.macroEnabled")),
    ("application/vnd.ms-excel.sheet.macroenabled.12", office(WORD, "application/vnd.ms-excel.sheet.macroEnabled")),
    (OPEN_DOCUMENT + "text", open_document("text")),
    (OPEN_DOCUMENT + "spreadsheet", open_document("spreadsheet")),
    (OPEN_DOCUMENT + "presentation", open_document("presentation")),
    ("application/zip", archive(("a.txt", "x"))),
    ("application/zip", archive()),
    ("application/java-archive", archive(("META-INF/MANIFEST.MF", "Manifest-Version: 1.0"))),
    ("audio/mpeg", MP3_FRAMES),
    ("audio/mpeg", ID3 + MP3_FRAMES),
    ("audio/wav", wav()),
    ("audio/flac", b"fLaC\0\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0a\xc4\x42\xf0" + bytes(100)),
    ("audio/ogg", ogg(b"\1vorbis\0\0\0\0\2\x44\xac" + bytes(14))),
    ("audio/ogg", ogg(b"OpusHead\1\2\x38\1\x80\xbb" + bytes(5))),
    ("audio/mp4", base_media(b"M4A ", b"M4A ", b"mp42")),
    ("audio/aac", AAC_FRAMES),
    ("video/mp4", base_media(b"isom", b"isom", b"mp41")),
    ("video/mp4", base_media(b"M4V ", b"mp42")),
    ("video/mp4", base_media(b"XAVC", b"XAVC", b"mp42", b"iso2")),
    ("video/quicktime", base_media(b"qt  ", b"qt  ")),
    ("video/webm", matroska(b"webm")),
    ("video/x-matroska", matroska(b"matroska")),
    ("video/ogg", ogg(THEORA)),
    ("video/x-msvideo", AVI),
    ("application/x-empty", b""),
    ("text/html", b"<!doctype html><html><body>"),
    ("image/svg+xml", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
    ("text/x-shellscript", b"#!/bin/sh\necho hi\n"),
    ("application/octet-stream", b"AB" + bytes(100)),
    ("application/octet-stream", bytes(100)),
    ("application/octet-stream", b"\0"),
]


@pytest.mark.parametrize(("media_type", "data"), EXPECTED, ids=[f"{n}-{each}" for n, (each, _) in enumerate(EXPECTED)])
def test_the_type_is_what_the_bytes_are(sandbox: Sandbox, media_type: str, data: bytes) -> None:
    assert images.sniff(sandbox, data) == media_type


def test_programs_are_programs(sandbox: Sandbox) -> None:
    found = images.sniff(sandbox, Path(sys.executable).read_bytes())
    assert found in {"application/x-executable", "application/x-pie-executable", "application/x-sharedlib"}
    dos = (
        b"MZ"
        + bytes(58)
        + struct.pack("<I", 128)
        + bytes(64)
        + b"PE\0\0\x64\x86\1\0"
        + bytes(12)
        + b"\xf0\0\x22\0\x0b\2"
        + bytes(300)
    )
    assert images.sniff(sandbox, dos) in {"application/x-dosexec", "application/vnd.microsoft.portable-executable"}


@pytest.mark.parametrize(
    "entries",
    [
        [("[Content_Types].xml", b"\xff" * 2_000_000), ("word/document.xml", b"x")],
        [("mimetype", b"application/vnd.oasis.opendocument.text\n<script>")],
        [("mimetype", b"text/html")],
    ],
)
def test_a_zip_that_only_looks_like_a_document(sandbox: Sandbox, entries: list[tuple[str, bytes]]) -> None:
    assert images.sniff(sandbox, archive(*entries)) == "application/zip"


def test_a_zip_that_cannot_be_read_is_a_zip_that_nobody_has_seen(sandbox: Sandbox) -> None:
    whole = office(WORD)
    directory = whole.rfind(b"PK\x01\x02")
    claim = whole[:-10] + struct.pack("<I", 1 << 30) + whole[-6:]  # a directory of 1 GiB
    for broken in (whole[: len(whole) // 2], whole[:directory] + b"XX" + whole[directory + 2 :], claim):
        sniffed = images.sniffed(sandbox, broken)
        assert sniffed.type == "application/zip"
        assert sniffed.closed is not None
        assert sniffed.closed.code is ReasonCode.SCAN_LIMITS_EXCEEDED


def test_a_document_with_a_broken_directory_is_no_document(sandbox: Sandbox) -> None:
    whole = bytearray(ole("WordDocument"))
    struct.pack_into("<I", whole, 48, 1_000_000)  # the first sector of the directory
    assert images.sniff(sandbox, bytes(whole)) != "application/msword"
    circle = bytearray(ole("a", "b", "c", "d", "e"))
    struct.pack_into("<I", circle, 512 + 8, 1)  # the directory's second sector is followed by its first
    assert images.sniff(sandbox, bytes(circle)) != "application/msword"
