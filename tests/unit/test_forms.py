"""Upload forms as a stream, cut anywhere, whole or broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from api.forms import UploadForm, parse_metadata
from api.problems import Problem

KIND = "multipart/form-data; boundary=frontier"
FILE = (
    b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
)
BYTES = b"--frontie\r\n--not the end\r\n\0\xff"
METADATA = b'--frontier\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"a": [1]}\r\n'
WHOLE = FILE + BYTES + b"\r\n" + METADATA + b"--frontier--\r\n"


def _read(data: bytes, cut: int = 65536, kind: str = KIND) -> tuple[UploadForm, bytes]:
    async def stream() -> AsyncIterator[bytes]:
        for at in range(0, len(data), cut):
            yield data[at : at + cut]

    async def read() -> tuple[UploadForm, bytes]:
        form = UploadForm(kind, stream(), max_metadata=1000)
        await form.open()
        return form, b"".join([chunk async for chunk in form.body()])

    return asyncio.run(read())


@pytest.mark.parametrize("cut", [1, 2, 7, 64, 65536])
def test_the_bytes_are_the_same_wherever_the_stream_is_cut(cut: int) -> None:
    form, data = _read(WHOLE, cut)
    assert data == BYTES
    assert (form.filename, form.declared_type, form.metadata()) == ("a.txt", "text/plain", {"a": [1]})


def test_metadata_may_come_first() -> None:
    form, data = _read(METADATA + FILE + b"x\r\n--frontier--\r\n")
    assert (data, form.metadata()) == (b"x", {"a": [1]})


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "фото.jpg", "<img src=x onerror=alert(1)>", "x" * 4000, "", "a\tb"]
)
def test_names_are_data(filename: str) -> None:
    data = FILE.replace(b"a.txt", filename.encode()) + b"x\r\n--frontier--\r\n"
    assert _read(data)[0].filename == filename


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (WHOLE[:-20], "breaks off"),
        (FILE + BYTES, "breaks off"),
        (METADATA + b"--frontier--\r\n", "no field `file`"),
        (b"", "breaks off"),
        (b"hello", "cannot be read"),
        (FILE + b"x\r\n" + FILE + b"y\r\n--frontier--\r\n", "unexpected or repeated"),
        (METADATA + METADATA + b"--frontier--\r\n", "unexpected or repeated"),
        (FILE.replace(b'"file"', b'"upload"') + b"x\r\n--frontier--\r\n", "unexpected or repeated field 'upload'"),
        (METADATA.replace(b"[1]", b"1" * 1001) + b"--frontier--\r\n", "longer than"),
        (FILE.replace(b"a.txt", b"n" * 30000) + b"x\r\n--frontier--\r\n", "header size"),
    ],
)
def test_a_broken_form_is_told_apart(data: bytes, told: str) -> None:
    with pytest.raises(Problem, match=told):
        _read(data)


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"])
def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(Problem) as caught:
        _read(WHOLE, kind=kind)
    assert caught.value.status == 415


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1]",
        b'"a"',
        b"null",
        b'{"a": NaN}',
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b"\xff",
        b"[" * 100_000,
        b'{"a": 1e400}',
        b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}",
    ],
)
def test_metadata_that_no_database_can_hold_is_refused(text: bytes) -> None:
    with pytest.raises(Problem, match="metadata"):
        parse_metadata(text)


def test_metadata_keeps_what_only_looks_like_a_nul() -> None:
    assert parse_metadata(b'{"a": "\\\\u0000", "b": "\\ud83d\\ude00"}') == {"a": "\\u0000", "b": "😀"}
