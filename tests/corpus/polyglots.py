"""Files that are two things at once, and ordinary ones that only look like it."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable

from PIL import Image

from ops.samples import documents
from tests import images
from tests.corpus import media_builder as media
from tests.corpus import ole_builder
from tests.corpus.archive_makers import tape
from tests.corpus.case import Case
from tests.corpus.document_makers import attached, letter, listing, package
from tests.corpus.zip_builder import STORED, Zip, ordinary, told
from worker.scan import ReasonCode, Status

_NOT, _TWO, _LIM = ReasonCode.TYPE_NOT_ALLOWED, ReasonCode.TYPE_MISMATCH, ReasonCode.SCAN_LIMITS_EXCEEDED
_PDF, _ZIP = "application/pdf", "application/zip"
_PE = "application/vnd.microsoft.portable-executable"
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_PAGE = b"<!doctype html><html><body><script>alert(1)</script></body></html>"
_SCRIPT = b"*/=1;alert(1);//"
_PROGRAM = (
    b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0\x4c\1\1\0" + bytes(12) + b"\xe0\0\2\1\x0b\1" + bytes(500)
)
_KINDS = {  # each format that is re-encoded: its extension, how Pillow calls it, and how it may end
    "image/gif": ("gif", "GIF"),
    "image/jpeg": ("jpg", "JPEG"),
    "image/png": ("png", "PNG"),
    "image/webp": ("webp", "WEBP"),
    "image/bmp": ("bmp", "BMP"),
    "image/tiff": ("tif", "TIFF"),
    "image/avif": ("avif", "AVIF"),
    "image/heic": ("heic", "HEIF"),
}


def _archive(name: str = "a.txt") -> bytes:
    return ordinary((name, b"Forty days. " * 20))


def phar(stub: bytes = b"<?php ") -> bytes:
    """https://www.php.net/manual/en/phar.fileformat.phar.php, with a signature at its end."""
    manifest = struct.pack("<I", 1) + b"\x11\0" + struct.pack("<III", 0x10000, 0, 0)
    manifest += struct.pack("<I", 5) + b"a.txt" + struct.pack("<IIIIII", 1, 0, 1, 0x8CDC1683, 0o644, 0)
    whole = stub + b"__HALT_COMPILER(); ?>\r\n" + struct.pack("<I", len(manifest)) + manifest + b"x"
    return whole + bytes(20) + struct.pack("<I", 2) + b"GBMB"


def _photo(kind: str) -> bytes:
    return images.encode(images.photo(), kind, **({"speed": 10} if kind == "AVIF" else {}))


def _image(media_type: str, name: str, tail: Callable[[], bytes]) -> Case:
    """What stands behind a picture goes when it is re-encoded."""
    extension, kind = _KINDS[media_type]
    label = f"{extension.upper()} with {name} behind"
    return Case("polyglots", label, f"a.{extension}", lambda: _photo(kind) + tail(), type=media_type)


def _case(name: str, filename: str, media_type: str, make: Callable[[], bytes], *codes: ReasonCode) -> Case:
    status = Status.REJECTED if codes else Status.CLEAN
    return Case("polyglots", name, filename, make, status, frozenset(codes), type=media_type)


def _commented(kind: str, text: bytes) -> bytes:
    """A picture with a comment."""
    file = io.BytesIO()
    picture: Image.Image = images.photo()
    picture.save(file, kind, comment=text)
    return file.getvalue()


def _scripted_gif() -> bytes:
    """Its width opens a comment, which ends behind the picture: GIF89a/* … */=1;alert(1);//"""
    data = bytearray(_photo("GIF"))
    data[6:8] = b"/*"
    return bytes(data) + _SCRIPT


def _scripted_jpeg() -> bytes:
    """The length of its first segment opens a comment."""
    data = _photo("JPEG")
    return data[:2] + b"\xff\xe0/*" + data[6:20].ljust(0x2F2A - 2, b"\0") + b"\xff\xfe\0\x12" + _SCRIPT + data[20:]


_IMAGES = (
    *(_image(media_type, "a zip", _archive) for media_type in _KINDS),
    *(_image(media_type, "a PDF", documents.pdf) for media_type in ("image/gif", "image/jpeg", "image/png")),
    *(_image(media_type, "a page", lambda: _PAGE) for media_type in ("image/gif", "image/jpeg", "image/bmp")),
    *(_image(media_type, "a PHAR", phar) for media_type in ("image/gif", "image/jpeg", "image/png")),
    _image("image/jpeg", "a JAR", lambda: _archive("META-INF/MANIFEST.MF")),
    _image("image/jpeg", "a program", lambda: _PROGRAM),
    _case("JPEG with a page as comment", "a.jpg", "image/jpeg", lambda: _commented("JPEG", _PAGE)),
    _case("JPEG with PHP as comment", "a.jpg", "image/jpeg", lambda: _commented("JPEG", b"<?php system($_GET[0]); ?>")),
    _case("JPEG with a PDF as comment", "a.jpg", "image/jpeg", lambda: _commented("JPEG", documents.pdf())),
    _case("GIF with a page as comment", "a.gif", "image/gif", lambda: _commented("GIF", _PAGE)),
    _case("JPEG that is a script", "a.jpg", "image/jpeg", _scripted_jpeg),
)


def _stored_pdf_name() -> bytes:
    """The header in the name of an entry, the rest in its data."""
    archive = Zip()
    archive.add(told(b"%PDF-1.7\n", documents.pdf()[9:], STORED))
    return archive.whole()


def _moved(front: bytes, data: bytes) -> Callable[[], bytes]:
    return lambda: front + data


def _spanning_comment() -> bytes:
    """An archive whose comment is the rest of a PDF: both end with the file."""
    head, tail = documents.pdf().split(b"xref\n0", 1)
    archive = Zip()
    archive.data += head
    archive.add(told(b"a.txt", b"x" * 50))
    return archive.whole(comment=b"xref\n0" + tail)


_OTHERS = (
    _case("PDF with a zip behind", "a.pdf", _PDF, lambda: documents.pdf() + _archive(), _TWO),
    _case("PDF with a zip within", "a.pdf", _PDF, _spanning_comment, _TWO),
    _case("PDF with a JAR behind", "a.pdf", _PDF, lambda: documents.pdf() + _archive("META-INF/MANIFEST.MF"), _TWO),
    _case("PDF with a page as comment", "a.pdf", _PDF, lambda: b"%PDF-1.7 " + _PAGE + documents.pdf()[8:], _TWO),
    _case("PDF with a PHAR behind", "a.pdf", _PDF, lambda: documents.pdf() + phar(), _TWO),
    _case("PDF behind a program", "a.pdf", _PE, lambda: _PROGRAM + documents.pdf(), _NOT, _TWO),
    _case("PDF behind a page", "a.pdf", "text/html", lambda: _ascii(_PAGE), _NOT, _TWO),
    _case("PDF behind a script", "a.pdf", _PDF, lambda: b"var pdf = 1; /*\n" + documents.pdf() + b"*/", _TWO),
    _case("PDF behind 900 bytes of noise", "a.pdf", _PDF, lambda: b"\1\2\3" * 300 + documents.pdf(), _TWO),
    _case("zip behind noise", "a.zip", _ZIP, lambda: b"\1\2\3" * 300 + _archive(), _TWO),
    _case("zip behind a line of text", "a.zip", _ZIP, lambda: b"Open with care\n" + _archive(), _TWO),
    _case("zip behind a program", "a.zip", _PE, lambda: _PROGRAM + _archive(), _NOT, _TWO),
    _case("zip behind a shell script", "a.zip", _ZIP, lambda: b"#!/bin/sh\n" + _archive(), _TWO),
    _case("zip behind a page", "a.zip", _ZIP, lambda: _PAGE + _archive(), _TWO),
    _case("zip behind a zip", "a.zip", _ZIP, lambda: _archive() + _archive("b.txt"), _TWO, _LIM),  # clamd: OK
    _case("zip with noise behind", "a.zip", _ZIP, lambda: _archive() + b"\1\2\3" * 3000, _TWO),
    _case("zip with a PDF in a name", "a.zip", _ZIP, _stored_pdf_name, _TWO),
    _case("zip that is a PHAR", "a.zip", "application/x-phar", lambda: _archive(".phar/stub.php"), _NOT, _TWO),
    _case("Word that is a JAR", "a.docx", _DOCX, lambda: _with("META-INF/MANIFEST.MF"), _TWO),
    _case("Word of 97 with a zip behind", "a.doc", "application/msword", lambda: ole_builder.word() + _archive(), _TWO),
    _case("MP4 with a zip behind", "a.mp4", "video/mp4", lambda: media.movie(b"isom") + _archive(), _TWO),
    _case("MP4 with a PDF in front", "a.mp4", "video/mp4", lambda: _freed(documents.pdf()), _TWO),
    _case("MP4 with a page in front", "a.mp4", "video/mp4", lambda: _freed(_PAGE), _TWO),
    _case("MP3 with a zip behind", "a.mp3", "audio/mpeg", lambda: media.MP3 + _archive(), _TWO),
    _case("MP3 with a PDF in its tag", "a.mp3", "audio/mpeg", lambda: _tagged(documents.pdf()), _TWO),
    _case("WAV with a zip behind", "a.wav", "audio/wav", lambda: media.wav() + _archive(), _TWO),
    _case(
        "FLAC with a JAR behind", "a.flac", "audio/flac", lambda: media.FLAC + _archive("META-INF/MANIFEST.MF"), _TWO
    ),
    _case("Ogg with a zip behind", "a.ogg", "audio/ogg", lambda: media.ogg(media.VORBIS) + _archive(), _TWO),
    _case(
        "Matroska with a zip behind",
        "a.mkv",
        "video/x-matroska",
        lambda: media.matroska(b"matroska") + _archive(),
        _TWO,
    ),
    _case("AVI with a zip behind", "a.avi", "video/x-msvideo", lambda: media.avi() + _archive(), _TWO),
    _case("text with a zip behind", "a.txt", _ZIP, lambda: b"Dear Sir,\n" * 200_000 + _archive(), _TWO),
    _case("text with a PDF behind", "a.txt", _PDF, lambda: b"Dear Sir,\n" + documents.pdf(), _TWO),
    _case("ID3 with a program behind", "a.mp3", _PE, lambda: media.tag() + _PROGRAM, _NOT, _TWO),
    _case("ID3 with a zip behind", "a.mp3", _ZIP, lambda: media.tag((b"TIT2", b"\0x")) + _archive(), _TWO),
    _case(
        "first box of a film, then noise",
        "a.mp4",
        "application/octet-stream",
        lambda: media.box(b"ftyp", b"isom\0\0\0\0isom") + bytes(range(256)) * 9,
        _NOT,
        _TWO,
    ),
    _case(
        "first box of a film, then a program",
        "a.mp4",
        "application/octet-stream",
        lambda: media.box(b"ftyp", b"isom\0\0\0\0isom") + _PROGRAM,
        _NOT,
        _TWO,
    ),
    _case("head of Matroska, then noise", "a.mkv", "application/octet-stream", lambda: _beheaded(), _NOT, _TWO),
)


def _ascii(front: bytes) -> bytes:
    return front + documents.pdf().replace(b"%\xe2\xe3\xcf\xd3\n", b"")


def _with(name: str) -> bytes:
    return package(listing(_DOCX + ".main+xml").encode(), (name, "Main-Class: x"))


def _freed(data: bytes) -> bytes:
    """A film with something in a box that players skip."""
    begin = media.box(b"ftyp", b"isom\0\0\0\0isom")
    return begin + media.box(b"free", data) + media.movie(b"isom")[len(begin) :]


def _tagged(data: bytes) -> bytes:
    return media.tag((b"PRIV", b"x\0" + data)) + media.MP3


def _beheaded() -> bytes:
    return media.matroska(b"matroska")[:32] + bytes(range(256)) * 9


_ORDINARY = (
    _case("zip of a PDF first, stored", "a.zip", _ZIP, lambda: ordinary(("a.pdf", documents.pdf()), method=STORED)),
    _case("zip of a page first, stored", "a.zip", _ZIP, lambda: ordinary(("a.html", _PAGE), method=STORED)),
    _case("zip of a zip, stored", "a.zip", _ZIP, lambda: ordinary(("a.zip", _archive()), method=STORED)),
    _case("zip of a program", "a.zip", _ZIP, lambda: ordinary(("a.exe", _PROGRAM), method=STORED)),
    _case("zip of a tape", "a.zip", _ZIP, lambda: ordinary(("a.tgz", gzip.compress(tape(("a.pdf", documents.pdf())))))),
    _case("PDF with a zip in its middle", "a.pdf", _PDF, lambda: attached(_archive())),
    _case("Word of 97 with a document in it", "a.doc", "application/msword", lambda: _embedded()),
    _case("Word with a page in it", "a.docx", _DOCX, lambda: _with("word/a.html")),
    _case("MP3 with a cover", "a.mp3", "audio/mpeg", lambda: media.tag(media.cover(_photo("JPEG"))) + media.MP3),
    _case("text that quotes a PDF's first line", "a.txt", "text/plain", lambda: b"A PDF begins with %PDF-1.7\n" * 9),
    _case("text that begins with it", "a.txt", "text/plain", lambda: b"%PDF-1.7 is how a PDF begins\n" * 9),
    _case(
        "text that quotes a zip", "a.txt", "text/plain", lambda: b"A zip begins with PK\\3\\4, ends with PK\\5\\6.\n"
    ),
)


def _embedded() -> bytes:
    workbook = letter()[:20_000]
    streams = {
        "WordDocument": bytes(4096),
        "1Table": bytes(4096),
        "Package": _archive().ljust(4200, b"\0"),
        "x": workbook,
    }
    return ole_builder.compound(streams)


CASES: tuple[Case, ...] = _IMAGES + _OTHERS + _ORDINARY
