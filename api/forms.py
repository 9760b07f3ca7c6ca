"""multipart/form-data (RFC 7578) as a stream: the file's bytes go through, only small fields are kept."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.problems import Problem
from worker.intake import recordable

_EXPECTED = "multipart/form-data with one field `file` and, if you like, one field `metadata`: a JSON object"
_DEEPEST = 32  # levels of metadata
_LONGEST_HEADER = 20 * 1024  # bytes; room for a file name of 4,096 characters in UTF-8


class UploadForm:
    """One upload form, read once from front to back.

    `open` reads up to the file; `body` gives its bytes and reads the form to its end; `metadata` is complete then.
    Each raises `Problem` for a form that is not as it should be.
    """

    def __init__(self, content_type: str, stream: AsyncIterator[bytes], max_metadata: int) -> None:
        """`content_type`: the request's header. `max_metadata`: bytes of the field's value."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise _wrong(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", f"The body is {content_type!r}.")
        self.filename = ""
        self.declared_type: str | None = None
        self._stream, self._max_metadata = stream, max_metadata
        self._parser = self._parser_for(options[b"boundary"])
        self._headers: dict[bytes, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._field = b""
        self._file_seen = self._ended = False
        self._chunks: list[bytes] = []
        self._metadata: bytearray | None = None

    async def open(self) -> None:
        """Read until the file's name and type are known."""
        while not self._file_seen:
            if not await self._more():
                raise _malformed("The form holds no field `file`.")

    async def body(self) -> AsyncIterator[bytes]:
        """The bytes of the file. Ends normally only where the form was whole."""
        while True:
            chunks, self._chunks = self._chunks, []
            for chunk in chunks:
                yield chunk
            if not await self._more():
                return

    def metadata(self) -> dict[str, Any]:
        """What came in the field `metadata`; empty without one."""
        return parse_metadata(bytes(self._metadata)) if self._metadata is not None else {}

    async def _more(self) -> bool:
        """Feed the parser once; False at the end of a whole form."""
        async for chunk in self._stream:
            try:
                self._parser.write(chunk)
            except MultipartParseError as fault:
                raise _malformed(f"The form cannot be read: {fault}.") from fault
            return True
        if not self._ended:
            raise _malformed("The form breaks off before its last boundary.")
        return False

    def _parser_for(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(boundary, self._callbacks(), max_header_size=_LONGEST_HEADER)
        except FormParserError as fault:
            raise _malformed(f"The form cannot be read: {fault}.") from fault

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": lambda data, start, end: self._on_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._on_header(1, data[start:end]),
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": lambda data, start, end: self._on_data(data[start:end]),
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header(self, which: int, data: bytes) -> None:
        self._header[which].extend(data)

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._field = options.get(b"name", b"")
        if self._field == b"file" and not self._file_seen:
            self._file_seen = True
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            self.declared_type = self._headers.get(b"content-type", b"").decode("latin-1") or None
        elif self._field == b"metadata" and self._metadata is None:
            self._metadata = bytearray()
        else:
            name = self._field[:64].decode("utf-8", "replace")
            raise _malformed(f"The form has an unexpected or repeated field {name!r}.")

    def _on_data(self, data: bytes) -> None:
        if self._field == b"file":
            self._chunks.append(data)
        elif self._metadata is not None:
            self._metadata.extend(data)
            if len(self._metadata) > self._max_metadata:
                raise _malformed(f"`metadata` is longer than {self._max_metadata} bytes.")

    def _on_end(self) -> None:
        self._ended = True


def parse_metadata(text: bytes) -> dict[str, Any]:
    """A JSON object that every database can hold. Raises `Problem`."""
    try:
        return storable(text)
    except ValueError as fault:
        raise _malformed(f"`metadata` {fault}.") from fault


def storable(text: bytes) -> dict[str, Any]:
    """A JSON object that every database can hold. Raises `ValueError`, which says what it is instead."""
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        _check_depth(value)
        kept = all(recordable(each, len(each)) == each for each in _strings(value))
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"is not JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - the kind of fault is the caller's to say
    if not kept:
        raise ValueError("holds a NUL or half a surrogate pair, which no database keeps")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is too large a number")
    return number


def _check_depth(value: Any, left: int = _DEEPEST) -> None:
    """Answers nest it once more, and encoders give up somewhere."""
    if left == 0:
        raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(inner, left - 1)


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _strings(each)


def _malformed(detail: str) -> Problem:
    return _wrong(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_form", detail)


def _wrong(status: HTTPStatus, code: str, detail: str) -> Problem:
    return Problem(status, code, detail, expected=_EXPECTED)
