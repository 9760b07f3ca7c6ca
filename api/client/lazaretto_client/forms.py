"""A file as the body of a request: as it is, or in a form. Its bytes go through and are never held."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping

from lazaretto_client.sources import Source

# As browsers do it (WHATWG HTML, "multipart form data"), but for the quote: it keeps its backslash (RFC 2183), so
# that it arrives as what it is.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\r": "%0D", "\n": "%0A"})


class Raw:
    """The file alone."""

    def __init__(self, source: Source, content_type: str | None) -> None:
        self._source, self.content_type = source, content_type

    @property
    def size(self) -> int | None:
        """In bytes; None where only the end will tell."""
        return self._source.size

    @property
    def repeatable(self) -> bool:
        """Can it be sent (again)?"""
        return self._source.repeatable

    def chunks(self) -> Iterator[bytes]:
        return self._source.chunks()


class Form:
    """Fields, then one file (multipart/form-data, RFC 7578)."""

    def __init__(self, fields: Mapping[str, str], source: Source, filename: str, content_type: str | None) -> None:
        self._source, boundary = source, secrets.token_hex(16)
        parts = [f"--{boundary}\r\n{_head(name)}\r\n\r\n{value}\r\n" for name, value in fields.items()]
        kind = f"\r\nContent-Type: {content_type}" if content_type else ""
        file = f'--{boundary}\r\n{_head("file")}; filename="{filename.translate(_ESCAPES)}"{kind}\r\n\r\n'
        self._before = ("".join(parts) + file).encode(errors="surrogateescape")
        self._after = f"\r\n--{boundary}--\r\n".encode()
        self.content_type: str | None = f"multipart/form-data; boundary={boundary}"

    @property
    def size(self) -> int | None:
        """Of the whole form, in bytes."""
        around = len(self._before) + len(self._after)
        return None if self._source.size is None else self._source.size + around

    @property
    def repeatable(self) -> bool:
        return self._source.repeatable

    def chunks(self) -> Iterator[bytes]:
        yield self._before
        yield from self._source.chunks()
        yield self._after


def _head(name: str) -> str:
    return f'Content-Disposition: form-data; name="{name.translate(_ESCAPES)}"'
