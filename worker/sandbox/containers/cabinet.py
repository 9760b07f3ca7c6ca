"""Cabinets: how much is packed in them. [MS-CAB] 2.1, 2.2

The files say where in a folder they lie, and may leave as much out as they like: what has to be unpacked to get to
them is told by the folders alone.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import unopenable
from worker.sandbox.containers.window import at

SIGNATURE = b"MSCF"
_HEADER, _FOLDER = struct.Struct("<4s22xHHH"), struct.Struct("<IHH")
_FOLDERS_AT, _BLOCK = 36, 32 * 1024  # bytes; of what a block unpacks to
_ONE_OF_SEVERAL, _RESERVES, _METHOD = 3, 4, 15  # of flags, and of the compression of a folder


def check(file: BinaryIO, allowance: Allowance) -> None:
    """Raises `Closed` where it is a part of a set, or unpacks to more than is left of the allowance."""
    try:
        _, folders, _, flags = _HEADER.unpack(at(file, 0, _HEADER.size))
        place, reserve = _FOLDERS_AT, 0
        if flags & _RESERVES:
            header, reserve, _ = struct.unpack("<HBB", at(file, place, 4))
            place += 4 + header
        if flags & _ONE_OF_SEVERAL:
            raise unopenable("a cabinet in it is one part of several")
        for _ in range(folders):
            _, blocks, method = _FOLDER.unpack(at(file, place, _FOLDER.size))
            allowance.unpack(blocks * _BLOCK if method & _METHOD else 0)
            place += _FOLDER.size + reserve
    except struct.error as error:
        raise unopenable("a cabinet in it is broken") from error
