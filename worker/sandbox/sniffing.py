"""What are these bytes? libmagic's answer by its usual name, put right where it is known to be vague.

Runs in the child.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import magic

from worker.sandbox.answers import Sniffed
from worker.sandbox.containers import base_media, markup, ole, zipped

UNKNOWN = "application/octet-stream"
_ZIP = "application/zip"

_USUAL = {  # libmagic's names, and the registered or more usual ones
    "application/cdfv2": "application/x-ole-storage",
    "application/x-cdf": "application/x-ole-storage",
    "application/x-zip-compressed": _ZIP,
    "audio/x-flac": "audio/flac",
    "audio/x-hx-aac-adts": "audio/aac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-wav": "audio/wav",
    "image/x-ms-bmp": "image/bmp",
    "inode/x-empty": "application/x-empty",
    "text/json": "application/json",
    "video/x-m4v": "video/mp4",
}


class _CloserLook(NamedTuple):
    """Where libmagic's answer may mean several things."""

    beginnings: tuple[str, ...]  # of the answer
    inner_type: Callable[[BinaryIO], str | None]
    otherwise: str | None  # what it is if it holds nothing known; None: what libmagic says


_CLOSER_LOOKS = (
    _CloserLook(
        (_ZIP, "application/vnd.openxml", "application/vnd.oasis", "application/epub", "application/java-archive"),
        zipped.inner_type,
        _ZIP,
    ),
    _CloserLook(("application/x-ole-storage", "application/vnd.ms-", "application/msword"), ole.inner_type, None),
    _CloserLook(("image/hei", "image/avif", "video/", "audio/mp4", UNKNOWN), base_media.inner_type, None),
)


def open_database() -> Any:
    """libmagic with its database. Takes a tenth of what everything else about a sniff takes: so once, in the server.

    Raises `magic.MagicException` where there is none.
    """
    return magic.Magic(mime=True, mime_encoding=True)


def sniff(database: Any, source: int) -> Sniffed:
    """Tell the type of what the descriptor `source` holds."""
    found = str(database.from_descriptor(source)).lower()
    media_type, _, encoding = found.partition("; charset=")
    media_type = _USUAL.get(media_type, media_type)
    with open(source, "rb", closefd=False) as file:
        if media_type.startswith("text/") and encoding == "binary":
            return Sniffed(UNKNOWN)  # some of libmagic's rules take two letters and any number of NULs for text
        if media_type == UNKNOWN and _is_one_character(file):
            return Sniffed("text/plain")
        if media_type.startswith("text/"):
            media_type = markup.inner_type(file) or media_type
        return Sniffed(_closer(media_type, file))


def _closer(media_type: str, file: BinaryIO) -> str:
    for look in _CLOSER_LOOKS:
        if media_type.startswith(look.beginnings):
            return look.inner_type(file) or look.otherwise or media_type
    return media_type


def _is_one_character(file: BinaryIO) -> bool:
    """libmagic does not look at files that short."""
    if os.fstat(file.fileno()).st_size != 1:
        return False
    file.seek(0)
    character = file.read(1).decode("latin-1")
    return character.isascii() and (character.isprintable() or character.isspace())
