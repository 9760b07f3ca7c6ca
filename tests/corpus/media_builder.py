"""Sound and films, byte by byte: enough of each format that it is one from end to end."""

from __future__ import annotations

import io
import struct
import wave

MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz
MP3 = MP3_FRAME * 20
MPEG2 = (b"\xff\xf3\x80\x00" + bytes(204)) * 20  # MPEG 2, layer III, 64 kbit/s, 22.05 kHz
AAC = (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)) * 20
FLAC = b"fLaC\x80\0\0\x22\x10\0\x10\0" + bytes(6) + b"\x0a\xc4\x42\xf0" + bytes(20) + b"\xff\xf8\xc9\x18" + bytes(500)
VORBIS, OPUS = b"\1vorbis\0\0\0\0\2\x44\xac" + bytes(14), b"OpusHead\1\2\x38\1\x80\xbb" + bytes(9)
THEORA = b"\x80theora\3\2\1\0\x14\0\x0f\0\1\x40\0\0\xf0\0\0\0\0\0\x1e\0\0\0\1" + bytes(13)
SKELETON = b"fishead\0\4\0\0\0" + bytes(68)


def tag(*frames: tuple[bytes, bytes], padding: int = 0) -> bytes:
    """ID3v2.3 with these frames. https://id3.org/id3v2.3.0"""
    body = b"".join(name + struct.pack(">IH", len(data), 0) + data for name, data in frames) + bytes(padding)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + body


def cover(picture: bytes) -> tuple[bytes, bytes]:
    """A picture of the front cover."""
    return b"APIC", b"\0image/jpeg\0\3\0" + picture


def wav(frames: int = 800) -> bytes:
    """Silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as made:
        made.setparams((1, 2, 8000, 0, "NONE", ""))
        made.writeframes(bytes(2 * frames))
    return file.getvalue()


def avi() -> bytes:
    """A list of headers and an empty list of pictures."""
    header = b"LIST" + struct.pack("<I", 68) + b"hdrlavih" + struct.pack("<I", 56) + bytes(56)
    pictures = b"LIST" + struct.pack("<I", 4) + b"movi"
    return b"RIFF" + struct.pack("<I", 4 + len(header + pictures)) + b"AVI " + header + pictures


def box(kind: bytes, body: bytes = b"") -> bytes:
    """ISO/IEC 14496-12, 4.2"""
    return struct.pack(">I4s", 8 + len(body), kind) + body


def movie(*brands: bytes, last: bool = True) -> bytes:
    """Brands, description and pictures; `last`: the description comes last, as from a camera."""
    begin = box(b"ftyp", brands[0] + bytes(4) + b"".join(brands)) if brands else box(b"wide")
    description = box(b"moov", box(b"mvhd", bytes(100)))
    parts = [box(b"free"), box(b"mdat", bytes(2000)), description]
    return begin + b"".join(parts if last else reversed(parts))


def fragmented() -> bytes:
    """As it is streamed."""
    pieces = (box(b"moof", box(b"mfhd", bytes(8))) + box(b"mdat", bytes(500)) for _ in range(5))
    return box(b"ftyp", b"iso5\0\0\0\0iso5dash") + box(b"moov", bytes(50)) + b"".join(pieces)


def matroska(kind: bytes) -> bytes:
    """RFC 9559: header, then a segment with information and nothing else."""
    body = b"\x42\x86\x81\1\x42\xf7\x81\1\x42\xf2\x81\4\x42\xf3\x81\x08\x42\x82" + bytes([0x80 | len(kind)]) + kind
    information = b"\x15\x49\xa9\x66\x87\x2a\xd7\xb1\x83\x0f\x42\x40"
    segment = b"\x18\x53\x80\x67" + bytes([0x80 | len(information) + 50]) + information + b"\xec\xb0" + bytes(48)
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(body)]) + body + segment


def ogg(*streams: bytes) -> bytes:
    """The first page of each stream, then one of data. RFC 3533, 6"""
    pages = [_page(number, 0, 2, first) for number, first in enumerate(streams)]
    return b"".join([*pages, _page(0, 1, 4, bytes(200))])


def _page(stream: int, number: int, flags: int, payload: bytes) -> bytes:
    begin = b"OggS\0" + bytes([flags]) + bytes(8)
    fields = struct.pack("<III", stream, number, 0)
    return begin + fields + bytes([1, len(payload)]) + payload
