"""ZIP: Office Open XML, OpenDocument, EPUB, Java and Android packages.

libmagic looks at the first entries, where few programs but Microsoft's put what it looks for, and it does not see
macros. The directory at the end is what every program reads, so it decides.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from worker.sandbox.closed import Closed
from worker.sandbox.containers import open_xml, zip_directory
from worker.sandbox.containers.window import at
from worker.sandbox.containers.zip_directory import Directory
from worker.sandbox.containers.zip_entries import Content

ZIP = "application/zip"
JAR, PHAR = "application/java-archive", "application/x-phar"
_KINDS = (
    ZIP,
    JAR,
    "application/epub",
    "application/vnd.android",
    "application/vnd.oasis",
    "application/vnd.openxml",
    "application/vnd.sun.xml",
)
_LARGEST_READ = 1024 * 1024  # bytes of one entry
_BY_MIMETYPE_ENTRY = re.compile(rb"application/(vnd\.(oasis\.opendocument|sun\.xml)\.[a-z.-]{1,60}|epub\+zip)")
_PACKAGES = {  # an entry of this name makes it one; Java does not mind about case
    b"androidmanifest.xml": "application/vnd.android.package-archive",
    b"meta-inf/manifest.mf": JAR,
    b".phar/stub.php": PHAR,
}


def is_kind(media_type: str) -> bool:
    """Is a file of this type a zip?"""
    return media_type.startswith(_KINDS) or (media_type.startswith("application/vnd.ms-") and media_type[-3:] == ".12")


def inner_type(file: BinaryIO) -> str | None:
    """The type of document or package that this archive is."""
    try:
        directory = zip_directory.read(file)
        return _office(file, directory) or _self_named(file, directory) or next(iter(_packages(directory)), None)
    except Closed:
        return None


def begins_like_one(file: BinaryIO) -> bool:
    """Is there an entry, or the end of an empty archive, at the beginning?"""
    return at(file, 0, 4) in (zip_directory.LOCAL, zip_directory.END)


def hidden_type(file: BinaryIO) -> str | None:
    """Of a file that does not begin as an archive, but is one to whoever looks at its end."""
    try:
        directory = zip_directory.read(file) if zip_directory.find(file) is not None else None
    except Closed:
        return None
    holds = directory and directory.entries and at(file, directory.first, 4) == zip_directory.LOCAL
    return inner_type(file) or ZIP if holds else None


def packages(file: BinaryIO) -> list[str]:
    """All that it is a package of, whatever document it is besides."""
    try:
        return _packages(zip_directory.read(file))
    except Closed:
        return []


def _office(file: BinaryIO, directory: Directory) -> str | None:
    types = _named(file, directory, b"[Content_Types].xml")
    return open_xml.document_type(types) if types else None


def _self_named(file: BinaryIO, directory: Directory) -> str | None:
    match = _BY_MIMETYPE_ENTRY.fullmatch((_named(file, directory, b"mimetype") or b"").strip())
    return match[0].decode() if match else None


def _packages(directory: Directory) -> list[str]:
    names = {each.name.lower() for each in directory.entries}
    return [media_type for name, media_type in _PACKAGES.items() if name in names]


def _named(file: BinaryIO, directory: Directory, name: bytes) -> bytes | None:
    """The entry of that name, in any case; None without one, or where it is larger than any should be.

    Of several the last counts, as it does for most readers."""
    for entry in reversed(directory.entries):
        if entry.name.lower() == name.lower() and entry.size <= _LARGEST_READ:
            start = zip_directory.data_start(file, entry)
            return Content(file, entry, start).read(_LARGEST_READ)
    return None
