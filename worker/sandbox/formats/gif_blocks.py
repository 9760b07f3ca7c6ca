"""The blocks that a GIF is made of (GIF89a specification, sections 15 to 27), read and written."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from typing import BinaryIO, NamedTuple

from worker.sandbox.refusal import undecodable
from worker.sandbox.tally import Tally

_HAS_PALETTE, _INTERLACED, _PALETTE_SIZE = 0x80, 0x40, 0x07
_CONTROL_LABEL, _APPLICATION_LABEL = 0xF9, 0xFF
_LOOPERS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_SCREEN, _PLACE = struct.Struct("<HHBBB"), struct.Struct("<HHHHB")
TRAILER = b"\x3b"
_CUT = "the GIF ends before its trailer"


class Screen(NamedTuple):
    """The canvas."""

    width: int
    height: int
    flags: int
    background: int
    aspect: int
    palette: bytes

    def pack(self) -> bytes:
        """As it is written, with the signature."""
        return b"GIF89a" + _SCREEN.pack(*self[:5]) + self.palette


class Loop(NamedTuple):
    """How often the animation repeats; 0: for ever."""

    times: int

    def pack(self) -> bytes:
        """As it is written."""
        return b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", self.times) + b"\x00"


class Frame(NamedTuple):
    """One image, where it stands on the canvas, and how it is shown."""

    x: int
    y: int
    width: int
    height: int
    flags: int
    palette: bytes  # its own; empty: the canvas's
    control: bytes  # disposal, delay and transparent index; empty: none
    code_size: int  # of LZW, in bits
    data: bytes  # LZW in its sub-blocks, with their terminator

    @property
    def interlaced(self) -> bool:
        return bool(self.flags & _INTERLACED)

    def pack(self) -> bytes:
        """As it is written."""
        control = b"\x21\xf9\x04" + self.control + b"\x00" if self.control else b""
        place = b"\x2c" + _PLACE.pack(*self[:4], self.flags)
        return control + place + self.palette + bytes([self.code_size]) + self.data


def survey(file: BinaryIO, tally: Tally) -> int:
    """Raises `Refusal` unless every block is whole, and the frames are within the limits and the canvas."""
    screen = read_screen(file)
    tally.canvas(screen.width, screen.height)
    with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        while (kind := _exactly(file, 1)) != TRAILER:
            tally.step()
            if kind == b"\x2c":
                x, y, width, height, flags = _PLACE.unpack(_exactly(file, _PLACE.size))
                _palette(file, flags)
                tally.frame(width, height)
                if x + width > screen.width or y + height > screen.height:
                    raise undecodable("a frame of the GIF does not fit into it")
            elif kind != b"\x21":
                raise undecodable("the GIF holds an unknown block")
            _exactly(file, 1)  # the code size of a frame, or the label of an extension
            body = file.tell()
            file.seek(_behind_sub_blocks(data, body, tally))
            if kind == b"\x21":
                tally.metadata(file.tell() - body)
    tally.finish()
    return file.tell()


def read_screen(file: BinaryIO) -> Screen:
    """The head of the file. Raises `Refusal`."""
    if _exactly(file, 6) not in (b"GIF87a", b"GIF89a"):
        raise undecodable("it does not begin like a GIF")
    fields = _SCREEN.unpack(_exactly(file, _SCREEN.size))
    return Screen._make((*fields, _palette(file, fields[2])))


def read_blocks(file: BinaryIO) -> Iterator[Frame | Loop]:
    """What follows the head, up to the trailer; comments, text and other applications' data are left out.

    Raises `Refusal` if the file ends before its trailer, which neither libvips nor Pillow mind.
    """
    control = b""
    while (kind := _exactly(file, 1)) != TRAILER:
        if kind == b"\x2c":
            yield _frame(file, control)
            control = b""
        elif kind == b"\x21":
            label, body = _exactly(file, 1)[0], _sub_blocks(file)
            if label == _CONTROL_LABEL:
                control = _control(body)
            elif label == _APPLICATION_LABEL and (loop := _loop(body)):
                yield loop
        else:
            raise undecodable("the GIF holds an unknown block")


def _frame(file: BinaryIO, control: bytes) -> Frame:
    place = _PLACE.unpack(_exactly(file, _PLACE.size))
    palette = _palette(file, place[4])
    return Frame._make((*place, palette, control, _exactly(file, 1)[0], _sub_blocks(file)))


def _control(body: bytes) -> bytes:
    if body[:1] != b"\x04" or len(body) != 6:
        raise undecodable("a graphic control block of the GIF is malformed")
    return body[1:5]


def _loop(body: bytes) -> Loop | None:
    name, data = body[1:12], body[12:]
    if name not in _LOOPERS or data[:2] != b"\x03\x01":
        return None
    return Loop(int.from_bytes(data[2:4], "little"))


def _palette(file: BinaryIO, flags: int) -> bytes:
    return _exactly(file, 3 * 2 ** ((flags & _PALETTE_SIZE) + 1)) if flags & _HAS_PALETTE else b""


def _sub_blocks(file: BinaryIO) -> bytes:
    """All sub-blocks as they are, each behind its length, with the empty one that ends them."""
    parts: list[bytes] = []
    while (length := _exactly(file, 1)) != b"\x00":
        parts += (length, _exactly(file, length[0]))
    return b"".join(parts) + b"\x00"


def _behind_sub_blocks(data: mmap, at: int, tally: Tally) -> int:
    """The offset behind the empty sub-block that ends those which begin at this one."""
    try:
        while length := data[at]:
            tally.step()
            at += length + 1
    except IndexError:
        raise undecodable(_CUT) from None
    return at + 1


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise undecodable(_CUT)
    return data
