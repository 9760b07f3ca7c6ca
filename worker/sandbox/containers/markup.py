"""Text that a browser or a shell would run: libmagic looks at the beginning, and leading space and comments fool it.

After https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type, with SVG, PHP and `#!` beside
it.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from worker.sandbox.containers import text

_LOOKED_AT = 1024 * 1024  # bytes
_SKIPPED = re.compile(r"(?:\s+|<!--.*?-->|<\?[^>]*>|<!doctype\s+svg[^>]*>)*", re.IGNORECASE | re.DOTALL)
_TAGS = "html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|object|embed|form|img|link|meta|base|math"
_HTML = re.compile(rf"<!doctype\s+html|<(?:{_TAGS})[\s/>]|<!--", re.IGNORECASE)
_SVG = re.compile(r"<(?:\w+:)?svg[\s/>]", re.IGNORECASE)
_PHP = re.compile(r"\s*<\?(?:php\b|=)", re.IGNORECASE)
_XML = re.compile(r"\s*<\?xml\b")


def inner_type(file: BinaryIO) -> str | None:
    """What the text is to whoever runs it; None for text that only says something."""
    whole = text.beginning(file, _LOOKED_AT)
    if _PHP.match(whole):
        return "text/x-php"
    start = _SKIPPED.match(whole)
    found = whole[start.end() :] if start else whole
    if found.startswith("#!"):
        return "text/x-shellscript"
    if _SVG.match(found):
        return "image/svg+xml"
    if _XML.match(whole):
        return "text/xml"
    return "text/html" if _HTML.match(found) else None


def begins_with_a_tag(file: BinaryIO) -> bool:
    """Is there, but for space, a tag, a comment or a declaration at the beginning?"""
    return text.beginning(file, _LOOKED_AT).lstrip().startswith("<")
