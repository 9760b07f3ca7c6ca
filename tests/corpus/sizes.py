"""Sizes at which something changes: nothing, one byte, and both sides of every limit that a small machine can reach."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from PIL import Image

from tests import images
from tests.corpus.case import Case
from worker.scan import ReasonCode, Status

_FAMILY = "sizes"
_MIB = 1024 * 1024
_LINE = b"Forty days on the island, and not one fewer than that.\n"
_EMPTY = frozenset({ReasonCode.EMPTY_FILE})
_TOO_LARGE = frozenset({ReasonCode.IMAGE_TOO_LARGE})
_TOO_MANY_FRAMES = frozenset({ReasonCode.IMAGE_TOO_MANY_FRAMES})
_UNKNOWN = frozenset({ReasonCode.TYPE_NOT_ALLOWED, ReasonCode.TYPE_MISMATCH})


def _text(size: int) -> bytes:
    return (_LINE * (size // len(_LINE) + 1))[:size]


def _white(width: int, height: int) -> bytes:
    """A WebP whose every pixel takes no bit at all; ClamAV does not decode WebP, which others of this size would cost
    it seconds."""
    data = bytearray(images.encode(Image.new("RGB", (16, 16), "white"), "WEBP", lossless=True))
    header = data.index(b"VP8L") + 9  # behind the length and a signature: 14 bits each, less one
    (flags,) = struct.unpack_from("<I", data, header)
    struct.pack_into("<I", data, header, flags & 0xF0000000 | height - 1 << 14 | width - 1)
    return bytes(data)


def _blinking(frames: int) -> bytes:
    """A GIF of 2 x 2 pixels. Each frame is the same: a palette of black and white, and four white pixels."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x0a\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + b"\x02\x03\x4c\x12\x05\0"
    return screen + frame * frames + b"\x3b"


def _of(name: str, size: int) -> Case:
    return Case(_FAMILY, name, "notes.txt", partial(_text, size), type="text/plain")


def _empty(filename: str) -> Case:
    return Case(_FAMILY, f"nothing, called {filename}", filename, bytes, Status.REJECTED, _EMPTY)


def _binary(name: str, make: Callable[[], bytes]) -> Case:
    return Case(_FAMILY, name, "notes.txt", make, Status.REJECTED, _UNKNOWN, type="application/octet-stream")


CASES = (
    *map(_empty, ("notes.txt", "photo.jpg", "report.pdf", "program.exe", "README", "archive.zip")),
    Case(_FAMILY, "one letter", "notes.txt", lambda: b"x", type="text/plain"),
    Case(_FAMILY, "one line break", "notes.txt", lambda: b"\n", type="text/plain"),
    Case(_FAMILY, "one digit", "notes.txt", lambda: b"7"),
    _binary("one byte that is NUL", lambda: b"\0"),
    _binary("NUL, a thousand times", lambda: bytes(1000)),
    _of("two letters", 2),
    _of("one byte less than a block", 4095),
    _of("a block", 4096),
    _of("what a browser looks at, and one byte", 1446),
    _of("a buffer of the network", 65536),
    _of("what fits into the worker's memory, less one byte", _MIB - 1),
    _of("what fits into the worker's memory", _MIB),
    _of("one byte more, which goes to disk", _MIB + 1),
    _of("one part of an upload, less one byte", 8 * _MIB - 1),
    _of("one part of an upload", 8 * _MIB),
    _of("one byte more, in two parts", 8 * _MIB + 1),
    _of("two parts", 16 * _MIB),
    Case(_FAMILY, "as many pixels as allowed", "white.webp", partial(_white, 10_000, 10_000), type="image/webp"),
    Case(
        _FAMILY,
        "a row more than allowed",
        "white.webp",
        partial(_white, 10_000, 10_001),
        Status.REJECTED,
        _TOO_LARGE,
        seconds=1,
    ),
    Case(_FAMILY, "as many frames as allowed", "blink.gif", partial(_blinking, 1000), type="image/gif"),
    Case(
        _FAMILY, "a frame more than allowed", "blink.gif", partial(_blinking, 1001), Status.REJECTED, _TOO_MANY_FRAMES
    ),
)
