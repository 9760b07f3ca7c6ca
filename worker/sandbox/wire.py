"""What is said between the caller, the fork server and its children. Standard library only: all sides import it."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Self

from worker.sandbox.answers import USUAL, ImageLimits, Treatment

LARGEST_MESSAGE = 128 * 1024  # bytes
NO_IMAGES = ImageLimits(max_pixels=0, max_frames=0)
LARGEST_REPLY = 64 * 1024  # bytes; what a pipe holds, so that a child never waits for a reader


@dataclass(frozen=True, slots=True)
class Ready:
    """The server's first message."""

    missing: tuple[str, ...]  # layers of confinement that its children go without

    def pack(self) -> bytes:
        """As it is sent."""
        return json.dumps(self.missing).encode()

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """As it was sent."""
        return cls(tuple(json.loads(message)))


class Call(StrEnum):
    """What a child is to do with its bytes."""

    SNIFF = "sniff"
    REENCODE = "reencode"


@dataclass(frozen=True, slots=True)
class Request:
    """One call and its limits; the descriptors travel beside it: the source, then the target if there is one."""

    call: Call
    memory: int  # bytes of address space
    seconds: float  # wall clock
    output: int  # bytes that may be written
    media_type: str = ""
    limits: ImageLimits = NO_IMAGES
    treatment: Treatment = USUAL

    def pack(self) -> bytes:
        """As it is sent."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """As it was sent; by our own caller, so it is believed."""
        fields = json.loads(message)
        call, limits = Call(fields["call"]), ImageLimits(**fields["limits"])
        return cls(**fields | {"call": call, "limits": limits, "treatment": Treatment(**fields["treatment"])})


class Fate(IntEnum):
    """How a child ended."""

    EXITED = 0
    SIGNALLED = 1
    TIMED_OUT = 2


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a child, by the word of the fork server, and what the child said, by its own."""

    fate: Fate
    number: int  # exit status, or signal
    untrusted_reply: bytes

    _FORMAT = struct.Struct("!BI")

    def pack(self) -> bytes:
        """As it is sent."""
        return self._FORMAT.pack(self.fate, self.number) + self.untrusted_reply

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """As it was sent; by our own fork server, so all but the reply is believed."""
        fate, number = cls._FORMAT.unpack_from(message)
        return cls(Fate(fate), number, message[cls._FORMAT.size :])
