"""Media types that Lazaretto knows: their extensions, and the other names that clients give them.

One table for everything that compares what a file is called, what it was declared to be and what it is. A type
that is not here can be neither allowed nor promoted.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_ANYTHING = "application/octet-stream"
UNDECLARED = frozenset({_ANYTHING, "binary/octet-stream", "application/x-www-form-urlencoded"})
EMPTY = "application/x-empty"
ENCRYPTED = "application/encrypted"  # an encrypted document of Office Open XML: which kind, only its name says
_DECLARED = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")  # RFC 6838, 4.2; no range such as */*
_EXTENSION = re.compile(r"[^.]\.(?!\d+$)([^.\s]{1,32})$")  # digits alone are a date, a version or a price
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class MediaType(NamedTuple):
    """A type by its registered (or customary) name."""

    name: str
    extensions: tuple[str, ...]
    aliases: tuple[str, ...] = ()  # what clients declare instead
    broader: str | None = None  # the type that this one also is
    image: bool = False  # re-encoded before promotion
    encrypted: str | None = None  # the type of its content once it is encrypted, where that tells nothing more


_OPEN_XML = "application/vnd.openxmlformats-officedocument."
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_EXCEL = "application/vnd.ms-excel"  # Windows declares it for CSV as well

KNOWN: tuple[MediaType, ...] = (
    MediaType("image/jpeg", ("jpg", "jpeg", "jpe", "jfif"), ("image/jpg", "image/pjpeg"), image=True),
    MediaType("image/png", ("png", "apng"), ("image/apng", "image/x-png", "image/vnd.mozilla.apng"), image=True),
    MediaType("image/gif", ("gif",), image=True),
    MediaType("image/webp", ("webp",), image=True),
    MediaType("image/avif", ("avif", "avifs"), image=True),
    MediaType("image/heic", ("heic", "heif", "hif"), ("image/heif", "image/heic-sequence"), image=True),
    MediaType("image/tiff", ("tif", "tiff"), ("image/x-tiff",), image=True),
    MediaType("image/bmp", ("bmp", "dib"), ("image/x-ms-bmp", "image/x-bmp"), image=True),
    MediaType("application/pdf", ("pdf",), ("application/x-pdf",)),
    MediaType("text/plain", ("txt", "text", "log", "md"), ("text/markdown",)),
    MediaType("text/csv", ("csv",), ("application/csv", "text/comma-separated-values", _EXCEL), "text/plain"),
    MediaType("application/json", ("json", "geojson"), ("text/json", "application/geo+json"), "text/plain"),
    MediaType("application/msword", ("doc", "dot")),
    MediaType(_EXCEL, ("xls", "xlt")),
    MediaType("application/vnd.ms-powerpoint", ("ppt", "pps", "pot")),
    MediaType(_OPEN_XML + "wordprocessingml.document", ("docx",), encrypted=ENCRYPTED),
    MediaType(_OPEN_XML + "spreadsheetml.sheet", ("xlsx",), encrypted=ENCRYPTED),
    MediaType(_OPEN_XML + "presentationml.presentation", ("pptx",), encrypted=ENCRYPTED),
    MediaType(_OPEN_DOCUMENT + "text", ("odt",)),
    MediaType(_OPEN_DOCUMENT + "spreadsheet", ("ods",)),
    MediaType(_OPEN_DOCUMENT + "presentation", ("odp",)),
    MediaType("application/zip", ("zip",), ("application/x-zip-compressed", "application/x-zip")),
    MediaType("application/x-7z-compressed", ("7z",), ("application/7z",)),
    MediaType("application/vnd.rar", ("rar",), ("application/x-rar", "application/x-rar-compressed")),
    MediaType("application/pgp-encrypted", ("gpg", "pgp", "asc"), ("application/pgp",)),
    MediaType("audio/mpeg", ("mp3", "mp2", "mpga"), ("audio/mp3", "audio/x-mp3", "audio/x-mpeg")),
    MediaType("audio/wav", ("wav",), ("audio/x-wav", "audio/wave", "audio/vnd.wave")),
    MediaType("audio/flac", ("flac",), ("audio/x-flac",)),
    MediaType("audio/ogg", ("ogg", "oga", "opus"), ("audio/opus", "application/ogg")),
    MediaType("audio/mp4", ("m4a", "mp4"), ("audio/x-m4a", "audio/m4a")),
    MediaType("audio/aac", ("aac",), ("audio/x-aac", "audio/aacp")),
    MediaType("video/mp4", ("mp4", "m4v"), ("video/x-m4v",)),
    MediaType("video/quicktime", ("mov", "qt")),
    MediaType("video/webm", ("webm",), ("audio/webm",)),
    MediaType("video/x-matroska", ("mkv",), ("video/matroska",)),
    MediaType("video/ogg", ("ogv", "ogg"), ("application/ogg",)),
    MediaType("video/x-msvideo", ("avi",), ("video/avi", "video/msvideo")),
)
BY_NAME = {each.name: each for each in KNOWN}


def saved_as(filename: str) -> str:
    """The name that a file gets where it is saved: no folders, no stream (`x.js::$DATA`), nothing that cannot be seen,
    and none of the dots and spaces at the end, which Windows drops."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1].split(":", 1)[0]
    seen = "".join(each for each in name if unicodedata.category(each) not in _INVISIBLE)
    return re.sub(r"\.{2,}", ".", seen.rstrip(". \N{NO-BREAK SPACE}"))


def extension_of(filename: str) -> str | None:
    """The extension under which a file is saved, in lower case; None without one ("README", ".profile", "Dr. Who",
    "Meeting 12.05")."""
    match = _EXTENSION.search(saved_as(filename))
    return match[1].lower() if match else None


def served_as(name: str) -> str:
    """The type under which a promoted object is downloaded: its own, of those that no browser runs; else just bytes.

    A browser does not look for HTML in what is called text/plain, CSV or JSON
    (https://mimesniff.spec.whatwg.org/#mime-type-sniffing-algorithm), and as an attachment nothing is shown at all.
    """
    return name if name in BY_NAME else _ANYTHING


def is_image(name: str) -> bool:
    """Is this a type that is re-encoded?"""
    return name in BY_NAME and BY_NAME[name].image


def meant(declared: str | None, filename: str, detected: str) -> str:
    """The type that a file is, where its content alone leaves it open.

    Nothing in the bytes tells CSV from other text, nor one encrypted document from another, so a name or a
    declaration may narrow a broader type down: text called a.csv is CSV. It may also widen: JSON in a file called
    notes.txt is text. Nothing else is believed.
    """
    extension, bare = extension_of(filename), bare_type(declared)
    claims = [each for each in KNOWN if _claimed(each, bare, extension)]
    broader = BY_NAME[detected].broader if detected in BY_NAME else None
    if detected in [claim.name for claim in claims]:
        return detected
    for claim in claims:
        # Also what looks like another narrower one: the lines of a JSON file may have as many commas as each other.
        if claim.name == broader or {claim.broader, claim.encrypted} & {detected, broader} - {None}:
            return claim.name
    return detected


def possible(name: str) -> frozenset[str]:
    """The types that content of this type may turn out to be, itself included."""
    return frozenset({name, *(each.name for each in KNOWN if each.encrypted == name)})


def fits_declared(declared: str | None, name: str) -> bool:
    """May a file of this type have been declared so? Parameters (`; charset=…`) do not count, nor does what is no
    media type at all ("undefined", `*/*`): that claims nothing."""
    claimed = bare_type(declared)
    if claimed is None or claimed == name:
        return True
    return name in BY_NAME and claimed in BY_NAME[name].aliases


def fits_extension(filename: str, name: str) -> bool:
    """May a file of this type be called so? A name without an extension claims nothing."""
    extension = extension_of(filename)
    return extension is None or (name in BY_NAME and extension in BY_NAME[name].extensions)


def _claimed(known: MediaType, declared: str | None, extension: str | None) -> bool:
    """Is this the type that the name and the declaration, in its bare form, speak of (where there are any)?"""
    claims = [extension in known.extensions] if extension else []
    if declared:
        claims.append(declared == known.name or declared in known.aliases)
    return bool(claims) and all(claims)


def bare_type(declared: str | None) -> str | None:
    """The declared type without its parameters; None where it claims nothing."""
    bare = (declared or "").split(";", 1)[0].strip().lower()
    return None if not _DECLARED.fullmatch(bare) or bare in UNDECLARED else bare
