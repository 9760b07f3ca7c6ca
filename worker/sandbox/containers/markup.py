"""Text that a browser or a shell would run: libmagic looks at the beginning, and leading space and comments fool it.

After https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type, with SVG and `#!` beside it.
"""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

_LOOKED_AT = 1024 * 1024  # bytes
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SKIPPED = re.compile(r"(?:\s+|<!--.*?-->|<\?[^>]*>|<!doctype\s+svg[^>]*>)*", re.IGNORECASE | re.DOTALL)
_TAGS = "html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|object|embed|form|img|link|meta|base|math"
_HTML = re.compile(rf"<!doctype\s+html|<(?:{_TAGS})[\s/>]|<!--", re.IGNORECASE)
_SVG = re.compile(r"<(?:\w+:)?svg[\s/>]", re.IGNORECASE)


def inner_type(file: BinaryIO) -> str | None:
    """What the text is to whoever runs it; None for text that only says something."""
    text = _decoded(file)
    start = _SKIPPED.match(text)
    text = text[start.end() :] if start else text
    if text.startswith("#!"):
        return "text/x-shellscript"
    if _SVG.match(text):
        return "image/svg+xml"
    return "text/html" if _HTML.match(text) else None


def _decoded(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(_LOOKED_AT)
    for mark, encoding in _ENCODINGS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace")
    return head.decode("latin-1")
