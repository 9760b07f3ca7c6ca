"""What are these bytes? libmagic's answer by its usual name, put right where it is known to be vague or to be fooled.

Runs in the child.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import magic

from worker.sandbox import polyglots
from worker.sandbox.allowance import Allowance
from worker.sandbox.answers import Sniffed
from worker.sandbox.closed import Closed
from worker.sandbox.containers import base_media, frames, inside, markup, matroska, ogg, ole, pdf, pgp, text, zipped
from worker.sandbox.containers.window import at

UNKNOWN, EMPTY, PLAIN = "application/octet-stream", "application/x-empty", "text/plain"
_NAME = re.compile(r"[a-z0-9][\w!#$&^.+-]*/[a-z0-9][\w!#$&^.+-]*")  # libmagic adds remarks to some

_USUAL = {  # libmagic's names, and the registered or more usual ones
    "application/cdfv2": "application/x-ole-storage",
    "application/x-cdf": "application/x-ole-storage",
    "application/x-rar": "application/vnd.rar",
    "application/x-zip-compressed": zipped.ZIP,
    "audio/x-flac": "audio/flac",
    "audio/x-hx-aac-adts": "audio/aac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-wav": "audio/wav",
    "image/x-ms-bmp": "image/bmp",
    "inode/x-empty": EMPTY,
    "text/json": "application/json",
    "video/x-m4v": "video/mp4",
}

# What stays what libmagic says, although it is text throughout: other programs than an editor go by its content. All
# else that it recognises in text is what people wrote: C, Java, mail, subtitles, and sentences that begin with "BM",
# as a bitmap does.
_KEPT = frozenset(
    {
        "application/json",
        "application/pgp-encrypted",
        "application/postscript",
        "application/x-mswinurl",
        "application/x-setupscript",
        "application/xml",
        "text/csv",
        "text/rtf",
        "text/x-msdos-batch",
        "text/x-ms-regedit",
        "text/xml",
    }
)
_TEXT = b"text\n"  # no rule knows it, so libmagic tries all: most are regular expressions, compiled when first tried
_HOLDS_NOTHING = ("image/", "text/", "application/json")
_FRONT = 64 * 1024  # bytes that tell what stands in front of an archive
_MARKUP = ("text/html", "image/svg+xml")  # libmagic finds tags anywhere, a browser only at the beginning


class _CloserLook(NamedTuple):
    """Where libmagic's answer may mean several things."""

    beginnings: tuple[str, ...]  # of the answer
    inner_type: Callable[[BinaryIO], str | None]
    otherwise: str | None  # what it is if it holds nothing known; None: what libmagic says


_ZIPS = (zipped.ZIP, "application/vnd.openxml", "application/vnd.oasis", "application/epub", "application/java-archive")
_CLOSER_LOOKS = (
    _CloserLook(_ZIPS, zipped.inner_type, zipped.ZIP),
    _CloserLook(("application/x-ole-storage", "application/vnd.ms-", "application/msword"), ole.inner_type, None),
    _CloserLook(("video/webm", "video/x-matroska", UNKNOWN), matroska.inner_type, None),
    _CloserLook(("audio/ogg", "video/ogg", "application/ogg"), ogg.inner_type, "application/ogg"),
    _CloserLook(("audio/mpeg", "audio/aac"), frames.inner_type, UNKNOWN),
    _CloserLook(("image/hei", "image/avif", "video/", "audio/mp4", UNKNOWN), base_media.inner_type, None),
)


def open_database() -> Any:
    """libmagic with its database, and with its rules for text made ready: takes as long as a sniff, so once, in the
    server, on five bytes of our own. Unlike libvips it starts no thread.

    Raises `magic.MagicException` where there is none.
    """
    database = magic.Magic(mime=True, mime_encoding=True)
    database.from_buffer(_TEXT)
    return database


def sniff(database: Any, source: int) -> Sniffed:
    """Tell what the descriptor `source` holds: its type, what else it is, and whether anybody can look into it."""
    name, encoding = _named(database.from_descriptor(source))
    with open(source, "rb", closefd=False) as file:
        front = None
        if name == zipped.ZIP and not zipped.begins_like_one(file):  # libmagic has seen the end of it
            name, encoding = front, _ = _named(database.from_buffer(at(file, 0, _FRONT)))
        media_type = _type(name, encoding, file)
        if media_type == EMPTY:
            return Sniffed(EMPTY)
        also = set(polyglots.also(media_type, file))
        if media_type == UNKNOWN and (hidden := zipped.hidden_type(file)):
            also |= {front or UNKNOWN}
            media_type = hidden
        closed = _closed(media_type, file)
        others = tuple(sorted(also - {media_type}))
        return Sniffed(media_type, others, closed.refused, closed.exhausting) if closed else Sniffed(media_type, others)


def _named(said: Any) -> tuple[str, str]:
    """libmagic's answer: the type by its usual name, and the encoding, "binary" for none."""
    name, _, encoding = str(said).lower().partition("; charset=")
    match = _NAME.match(name)
    return _USUAL.get(match[0], match[0]) if match else UNKNOWN, encoding


def _type(media_type: str, encoding: str, file: BinaryIO) -> str:
    if media_type == EMPTY:
        return EMPTY
    if (media_type == UNKNOWN or encoding != "binary") and text.is_text(file):
        return _type_of_text(media_type, file)
    if media_type.startswith("text/") or media_type in _KEPT:
        return UNKNOWN  # it only begins like text; and some of libmagic's rules take two letters for it
    if media_type == pdf.TYPE or media_type == UNKNOWN:
        return pdf.TYPE if pdf.begin(file) is not None else _closer(UNKNOWN, file)
    return _closer(media_type, file)


def _type_of_text(media_type: str, file: BinaryIO) -> str:
    if pdf.begin(file) is not None and media_type == pdf.TYPE:
        return pdf.TYPE
    if found := markup.inner_type(file):
        return found
    if media_type in _KEPT or (media_type in _MARKUP and markup.begins_with_a_tag(file)):
        return media_type
    return PLAIN


def _closer(media_type: str, file: BinaryIO) -> str:
    if media_type == UNKNOWN and pgp.is_encrypted(file):
        return "application/pgp-encrypted"
    if media_type == UNKNOWN and zipped.begins_like_one(file):  # so it says of some that Office has written
        media_type = zipped.ZIP
    for look in _CLOSER_LOOKS:
        if media_type.startswith(look.beginnings):
            media_type = look.inner_type(file) or look.otherwise or media_type
    if media_type in ("video/mp4", "audio/mp4", "video/quicktime") and not base_media.is_movie(file):
        return UNKNOWN
    return media_type


def _closed(media_type: str, file: BinaryIO) -> Closed | None:
    # Images are re-encoded, with nothing of what else is in them; text that begins like an archive is none.
    if media_type.startswith(_HOLDS_NOTHING):
        return None
    try:
        inside.look_into(file, Allowance(), is_zip=zipped.is_kind(media_type))
    except Closed as closed:
        return closed
    return None
