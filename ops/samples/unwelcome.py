"""Files that must not get through, all of them harmless."""

from __future__ import annotations

import struct

from ops.samples.photo import photo
from worker.canaries import eicar

_PE_AT = 0x40  # where the DOS header says that the real one begins
_AMD64, _EXECUTABLE, _PE32_PLUS = 0x8664, 0x0022, 0x020B
_OPTIONAL_HEADER = 240  # bytes


def malware() -> bytes:
    """EICAR, which every scanner calls malware by agreement."""
    return eicar()


def executable() -> bytes:
    """The headers of a Windows program that contains nothing to run."""
    dos = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", _PE_AT)
    coff = struct.pack("<HHIIIHH", _AMD64, 0, 0, 0, 0, _OPTIONAL_HEADER, _EXECUTABLE)
    optional = struct.pack("<H", _PE32_PLUS).ljust(_OPTIONAL_HEADER, b"\0")
    return (dos + b"PE\0\0" + coff + optional).ljust(1024, b"\0")


def truncated_photo() -> bytes:
    """The first half of a photograph."""
    whole = photo()
    return whole[: len(whole) // 2]
