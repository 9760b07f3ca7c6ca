"""Images put together byte by byte, for what no encoder writes: every number in them may be a lie."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Any

from tests import images

MIB = 1 << 20
TRAILER = b"\x3b"  # of a GIF
NOTHING_DRAWN = b"\x02\x02\x4c\x01\x00"  # LZW of one GIF pixel


@cache
def plain(kind: str, **options: Any) -> bytes:
    """A photograph of 160 x 120 pixels as an encoder writes it."""
    return images.encode(images.photo(), kind, **options)


@cache
def moving(kind: str, **options: Any) -> bytes:
    """Four frames or pages of 64 x 48 pixels."""
    return images.encode_film(images.film(), kind, **options)


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """The same with other bytes from there on."""
    return data[:at] + new + data[at + len(new) :]


@cache
def inflating(size: int) -> bytes:
    """A zlib stream that becomes `size` zeros, a multiple of 16 MiB; made in no time, because its blocks repeat."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(16 * MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = size % 65521 << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + block * (size // (16 * MIB)) + b"\x03\x00" + struct.pack(">I", checksum)


# JPEG


def jpeg_with(*segments: tuple[int, bytes], base: bytes | None = None) -> bytes:
    """A JPEG with more segments behind its first marker."""
    base = base or plain("JPEG")
    return base[:2] + b"".join(jpeg_segment(*each) for each in segments) + base[2:]


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg_claiming(width: int, height: int, **options: Any) -> bytes:
    """A JPEG that says it is that large."""
    data = plain("JPEG", **options)
    frame = data.find(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    return patched(data, frame + 5, struct.pack(">HH", height, width))


def jpeg_of_scans(count: int, width: int = 160, height: int = 120) -> bytes:
    """A progressive JPEG with its first scan, which may be sent again and again, so many times."""
    data = jpeg_claiming(width, height, progressive=True)
    first = data.find(b"\xff\xda")
    second = min(at for marker in (b"\xff\xda", b"\xff\xc4") if (at := data.find(marker, first + 2)) > 0)
    return data[:first] + data[first:second] * count + data[second:]


# PNG

_ROWS = b"\0\x01\x02\x03\x04" * 4  # four by four grey pixels


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 4 x 4 grey pixels with more chunks before them."""
    return images.png(4, 4, depth=8, kind=0, rows=_ROWS, extra=chunks)


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of just these chunks, and its end."""
    return images.PNG_SIGNATURE + b"".join(images.png_chunk(*chunk) for chunk in (*chunks, (b"IEND", b"")))


def header(width: int = 4, height: int = 4, depth: int = 8, kind: int = 0) -> tuple[bytes, bytes]:
    """IHDR."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)


def pixels(rows: bytes = _ROWS) -> tuple[bytes, bytes]:
    """IDAT."""
    return b"IDAT", zlib.compress(rows, 9)


def animation(frames: int) -> tuple[bytes, bytes]:
    """acTL."""
    return b"acTL", struct.pack(">II", frames, 0)


def control(number: int, width: int = 4, height: int = 4, x: int = 0, y: int = 0) -> tuple[bytes, bytes]:
    """fcTL."""
    return b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, x, y, 1, 10, 0, 0)


def more_pixels(number: int, rows: bytes = _ROWS) -> tuple[bytes, bytes]:
    """fdAT."""
    return b"fdAT", struct.pack(">I", number) + zlib.compress(rows, 9)


def apng(count: int, width: int, height: int) -> bytes:
    """An animated PNG of so many equal frames of one bit."""
    rows = bytes((width + 7) // 8 + 1) * height
    chunks = [header(width, height, depth=1), animation(count), control(0, width, height), pixels(rows)]
    compressed = more_pixels(0, rows)[1][4:]
    for number in range(1, count):
        place = control(2 * number - 1, width, height)
        chunks += [place, (b"fdAT", struct.pack(">I", 2 * number) + compressed)]
    return png_of(*chunks)


# GIF


def gif_screen(width: int, height: int) -> bytes:
    """The head of a GIF with a palette of black and white."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"


def gif_frame(x: int = 0, y: int = 0, width: int = 1, height: int = 1, data: bytes = NOTHING_DRAWN) -> bytes:
    """A frame with a delay."""
    return b"\x21\xf9\x04\0\x0a\0\0\0" + b"\x2c" + struct.pack("<HHHHB", x, y, width, height, 0) + data


def gif(width: int, height: int, *frames: bytes) -> bytes:
    """All of it."""
    return gif_screen(width, height) + b"".join(frames) + TRAILER


# WebP


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"WEBP" + b"".join(riff_chunk(*chunk) for chunk in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff_chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def canvas(width: int, height: int, flags: int = 0x02) -> tuple[bytes, bytes]:
    """VP8X; 0x02: animated, 0x20: with a profile."""
    return b"VP8X", bytes([flags, 0, 0, 0]) + _three(width - 1) + _three(height - 1)


def lossy(width: int, height: int) -> tuple[bytes, bytes]:
    """VP8 with a head and hardly anything behind it."""
    return b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(40)


def lossless(width: int, height: int) -> tuple[bytes, bytes]:
    """VP8L likewise."""
    return b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(40)


def webp_pixels(data: bytes) -> tuple[bytes, bytes]:
    """The first chunk of pixels of a simple WebP."""
    return data[12:16], data[20 : 20 + int.from_bytes(data[16:20], "little")]


def webp_frame(width: int, height: int, *parts: tuple[bytes, bytes], x: int = 0, y: int = 0) -> tuple[bytes, bytes]:
    """ANMF."""
    head = _three(x // 2) + _three(y // 2) + _three(width - 1) + _three(height - 1) + _three(100) + b"\0"
    return b"ANMF", head + b"".join(riff_chunk(*part) for part in parts)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


# BMP


def bmp(width: int, height: int, *, depth: int = 24, compression: int = 0, body: bytes = b"", start: int = 54) -> bytes:
    """A BMP with a header of 40 bytes."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, depth, compression, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, start) + head + body
