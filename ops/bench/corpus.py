"""Files to upload: the same seed makes the same ones, another seed makes none of them.

clamd remembers the content that it found clean, so nothing may be measured twice with the same files.
"""

from __future__ import annotations

import io
import random
import zipfile
import zlib
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

_KIB = 1024
_WORDS = 4096
_PAGE_TEXT = 32 * _KIB  # deflates to about 17 KiB
_PDF_SIZE = 20 * _KIB
_ZIP_MEMBERS, _ZIP_MEMBER_SIZE = 8, 1450 * _KIB  # about 5 MB once deflated
_PHOTO_WIDTH, _PHOTO_QUALITY = 1280, 85  # 1280x960, about 200 KB
_OCTAVES = ((8, 6, 0.53), (32, 24, 0.25), (160, 120, 0.13), (640, 480, 0.09))  # columns, rows, weight
_LINE = 80
MIX = {"pdf": 0.60, "jpeg": 0.30, "text": 0.09, "zip": 0.01}  # what people send: of each kind its share


class File(NamedTuple):
    """One file to upload."""

    name: str
    content_type: str
    data: bytes


def plan(corpus: str, count: int, seed: str) -> list[str]:
    """The kind of each file, in the order in which they are sent: `mix`, or all of one kind."""
    if corpus != "mix":
        return [corpus] * count
    kinds = [kind for kind, share in MIX.items() for _ in range(max(1, round(share * count)))]
    random.Random(f"{seed}/order").shuffle(kinds)  # noqa: S311 - nothing is secret here
    return kinds


def make(kind: str, seed: str, index: int) -> File:
    """File number `index` of a kind; no other has its content."""
    write, suffix, content_type = _KINDS[kind]
    data = write(random.Random(f"{seed}/{kind}/{index}"))  # noqa: S311
    return File(f"{kind}-{index:05d}.{suffix}", content_type, data)


def _vocabulary() -> list[str]:
    chance = random.Random("lazaretto vocabulary")  # noqa: S311
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    weights = range(len(letters), 0, -1)  # as often as in English, roughly: it has to deflate as text does
    return ["".join(chance.choices(letters, weights, k=chance.randint(2, 9))) for _ in range(_WORDS)]


_VOCABULARY = _vocabulary()


def words(chance: random.Random, size: int) -> bytes:
    """So many bytes of words between blanks."""
    picks = array("H", chance.randbytes(2 * (size // 4)))
    return " ".join([_VOCABULARY[pick % _WORDS] for pick in picks]).encode()[:size].ljust(size, b".")


def _text(chance: random.Random) -> bytes:
    return words(chance, 2 * _KIB)


def _pdf(chance: random.Random) -> bytes:
    """A valid page, deflated, and a comment that fills it up to its size."""
    lines = words(chance, _PAGE_TEXT)
    drawn = b"".join(b"(%s) Tj T*\n" % lines[at : at + _LINE] for at in range(0, len(lines), _LINE))
    page = zlib.compress(b"BT /F1 9 Tf 10 TL 40 800 Td\n" + drawn + b"ET")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R"
        b" /Resources << /Font << /F1 4 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(page), page),
    ]
    return _pdf_file(objects, chance)


def _pdf_file(objects: list[bytes], chance: random.Random) -> bytes:
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    tail = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    tail += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n" % (len(objects) + 1)
    room = _PDF_SIZE - len(out) - len(tail) - len(b"%\n00000\n%%EOF\n")
    out += b"%" + words(chance, room) + b"\n"
    return out + tail + b"%05d\n%%%%EOF\n" % len(out)


def _jpeg(chance: random.Random) -> bytes:
    """Much like a photo: smooth colour noise of several scales."""
    import pyvips  # only where files are made: nothing may be forked from a process that has run it

    image: Any = None
    for columns, rows, weight in _OCTAVES:
        grid = pyvips.Image.new_from_memory(chance.randbytes(columns * rows * 3), columns, rows, 3, "uchar")
        finer = grid * weight
        image = finer if image is None else image.resize(columns / image.width, kernel="linear") + finer
    scene = image.cast("uchar").resize(_PHOTO_WIDTH / _OCTAVES[-1][0], kernel="linear")
    return bytes(scene.copy(interpretation="srgb").jpegsave_buffer(Q=_PHOTO_QUALITY))


def _zip(chance: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(_ZIP_MEMBERS):
            entry = zipfile.ZipInfo(f"part-{number}.txt", (2024, 1, 1, 0, 0, 0))
            packed.writestr(entry, words(chance, _ZIP_MEMBER_SIZE), zipfile.ZIP_DEFLATED)
    return out.getvalue()


_KINDS: dict[str, tuple[Callable[[random.Random], bytes], str, str]] = {
    "text": (_text, "txt", "text/plain"),
    "pdf": (_pdf, "pdf", "application/pdf"),
    "jpeg": (_jpeg, "jpg", "image/jpeg"),
    "zip": (_zip, "zip", "application/zip"),
}
