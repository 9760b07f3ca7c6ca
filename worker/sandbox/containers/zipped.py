"""ZIP: Office Open XML, OpenDocument, EPUB, Java and Android packages.

libmagic looks at the first entries, where few programs but Microsoft's put what it looks for, and it does not see
macros. The directory at the end is what every program reads, so it decides.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from typing import BinaryIO

_LARGEST_DIRECTORY = 8 * 1024 * 1024  # bytes; a document has a few thousand entries, a bomb has millions
_LARGEST_READ = 1024 * 1024  # bytes of one entry
_END, _END_SIZE, _LONGEST_COMMENT = b"PK\x05\x06", 22, 0xFFFF

_CONTENT_TYPES = "[Content_Types].xml"
_MAIN_PART = re.compile(rb"""["'](application/vnd\.[\w.-]{1,100})\.main\+xml["']""")
_BY_MIMETYPE_ENTRY = re.compile(rb"application/(vnd\.(oasis\.opendocument|sun\.xml)\.[a-z.-]{1,60}|epub\+zip)")
_BY_NAME = {
    "AndroidManifest.xml": "application/vnd.android.package-archive",
    "META-INF/MANIFEST.MF": "application/java-archive",
}
_MANIFEST = "META-INF/manifest.xml"  # of an OpenDocument: says which of its entries are encrypted
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
)
_ENCRYPTED_FLAG = 1  # APPNOTE.TXT 4.4.4
_ENCRYPTED_METHOD = 99  # WinZip's AES
# What ClamAV unpacks: stored, imploded, deflated, deflate64, bzip2. Of anything else it says OK, unseen.
_OPENABLE = frozenset({0, 6, 8, 9, 12})
ENCRYPTED = "application/encrypted"
UNOPENABLE = "application/x-unopenable"


def inner_type(file: BinaryIO) -> str | None:
    """The type of document or package that this archive is; whether anybody can look into it comes first."""
    size = _directory_size(file)
    if size > _LARGEST_DIRECTORY:
        return UNOPENABLE
    if size < 0:
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            return _closed(archive) or _office(archive) or _self_named(archive) or _package(archive)
    except _UNREADABLE:
        return None


def _directory_size(file: BinaryIO) -> int:
    """In bytes; -1 where there is none. Before `zipfile` loads all of it."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT))
    tail = file.read()
    start = tail.rfind(_END)
    return int.from_bytes(tail[start + 12 : start + 16], "little") if start >= 0 else -1


def _closed(archive: zipfile.ZipFile) -> str | None:
    entries = archive.infolist()
    if any(each.flag_bits & _ENCRYPTED_FLAG or each.compress_type == _ENCRYPTED_METHOD for each in entries):
        return ENCRYPTED
    return None if all(each.compress_type in _OPENABLE for each in entries) else UNOPENABLE


def _office(archive: zipfile.ZipFile) -> str | None:
    """The types of all parts are listed in one entry; the main one's is the document's. ECMA-376, part 2."""
    if _CONTENT_TYPES not in archive.namelist():
        return None
    names = {match.decode().lower() for match in _MAIN_PART.findall(_read(archive, _CONTENT_TYPES))}
    # Where several are listed, the dangerous one counts.
    for name in sorted(names, key=lambda name: not name.endswith("macroenabled")):
        return f"{name}.12" if name.endswith("macroenabled") else name
    return None


def _self_named(archive: zipfile.ZipFile) -> str | None:
    if "mimetype" not in archive.namelist():
        return None
    match = _BY_MIMETYPE_ENTRY.fullmatch(_read(archive, "mimetype").strip())
    if match and _MANIFEST in archive.namelist() and b"encryption-data" in _read(archive, _MANIFEST):
        return ENCRYPTED
    return match[0].decode() if match else None


def _package(archive: zipfile.ZipFile) -> str | None:
    names = {name.casefold() for name in archive.namelist()}  # Java does not mind
    return next((media_type for name, media_type in _BY_NAME.items() if name.casefold() in names), None)


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        return entry.read(_LARGEST_READ)
