"""How an animated PNG is written (W3C PNG, third edition, sections 4.9 and 11.3.2)."""

from __future__ import annotations

import struct
from itertools import count
from typing import BinaryIO, NamedTuple

from worker.sandbox.formats.png_chunks import SIGNATURE, pack
from worker.sandbox.refusal import undecodable

_CONTROL = struct.Struct(">IIIIHHBB")  # the chunk fcTL after its sequence number


class Control(NamedTuple):
    """A frame's place, time and manner."""

    width: int
    height: int
    x: int
    y: int
    delay_numerator: int
    delay_denominator: int
    disposal: int
    blending: int

    @classmethod
    def unpack(cls, data: bytes) -> Control:
        """From the data of a chunk."""
        return cls._make(_CONTROL.unpack(data[4:]))


class Writer:
    """One file, frame by frame."""

    def __init__(self, out: BinaryIO, frames: int, plays: int) -> None:
        """plays: how often the animation repeats; 0: for ever."""
        self._out, self._animation = out, struct.pack(">II", frames, plays)
        self._sequence, self._form = count(), b""
        self.frames = 0  # that have been written

    def add(self, control: Control | None, header: bytes, pixels: bytes) -> None:
        """header: IHDR of this frame alone. Without a control it is a default image that is no part of the animation.

        Raises `Refusal` for a frame of another kind than the first.
        """
        first = not self._form
        if first:
            self._form = header[8:]
            self._out.write(SIGNATURE + pack(b"IHDR", header) + pack(b"acTL", self._animation))
        if header[8:] != self._form:
            raise undecodable("the frames of the animation are of different kinds")
        if control is not None:
            self.frames += 1
            self._out.write(pack(b"fcTL", self._number() + _CONTROL.pack(*control)))
        self._out.write(pack(b"IDAT", pixels) if first else pack(b"fdAT", self._number() + pixels))

    def finish(self) -> None:
        """There are no more."""
        self._out.write(pack(b"IEND", b""))

    def _number(self) -> bytes:
        return struct.pack(">I", next(self._sequence))
