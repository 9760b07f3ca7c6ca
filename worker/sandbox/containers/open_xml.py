"""Office Open XML: which document a package is, and whether it brings macros. ECMA-376, part 2, 10.1.2.

The types of all parts are listed in one entry. Expat reads it as Office does, in whatever encoding; entities could
hide a type from us, and a document type has no place there, so a list with one is none.
"""

from __future__ import annotations

import re
from xml.parsers import expat

_ENCODING = re.compile(rb"""encoding\s*=\s*["']([^"']*)""")
_EXPATS_OWN = frozenset({b"utf-8", b"utf-16", b"utf-16le", b"utf-16be", b"us-ascii", b"iso-8859-1"})
_DECLARATION = 512  # bytes
_MAIN_PART = re.compile(r"(application/vnd\.[\w.-]{1,100})\.main(?:\+xml)?", re.IGNORECASE)
_MACROS = re.compile(r"vbaproject|macrosheet", re.IGNORECASE)
_WITH_MACROS = {  # what a document becomes that brings macros, although its main part says that it has none
    "wordprocessingml.document": "application/vnd.ms-word.document.macroenabled.12",
    "spreadsheetml.sheet": "application/vnd.ms-excel.sheet.macroenabled.12",
    "presentationml.presentation": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
}


def document_type(listed: bytes) -> str | None:
    """By the entry `[Content_Types].xml`; None where that names no document."""
    types = _types(listed)
    mains = sorted({match[1].lower() for each in types if (match := _MAIN_PART.fullmatch(each))})
    # Where several are listed, the dangerous one counts.
    for name in sorted(mains, key=lambda name: not name.endswith("macroenabled")):
        if name.endswith("macroenabled"):
            return f"{name}.12"
        brings_macros = any(_MACROS.search(each) for each in types)
        return _WITH_MACROS.get(name.partition("officedocument.")[2], name) if brings_macros else name
    return None


def _types(listed: bytes) -> list[str]:
    found: list[str] = []

    def element(_name: str, attributes: dict[str, str]) -> None:
        found.extend(value.strip() for name, value in attributes.items() if name == "ContentType")

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    encoding = _ENCODING.search(listed[:_DECLARATION].replace(b"\0", b""))
    if encoding and encoding[1].lower() not in _EXPATS_OWN:  # Python would load a codec for it: from the file system
        return []
    parser = expat.ParserCreate()
    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(listed, True)
    except (expat.ExpatError, ValueError, LookupError):
        return []
    return found
