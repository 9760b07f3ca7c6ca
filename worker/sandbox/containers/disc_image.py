"""Images of discs: ISO 9660 (ECMA-119), which may hold one tree of files for each kind of reader, and UDF.

What one tree does not show, another may: each is looked through by itself.
"""

from __future__ import annotations

from typing import BinaryIO

from worker.sandbox.closed import unopenable
from worker.sandbox.containers.window import at

_SECTOR = 2048  # bytes
_DESCRIPTORS_AT = 16 * _SECTOR
MAGIC, MAGIC_AT = b"CD001", _DESCRIPTORS_AT + 1
RAW_MAGIC_AT = 16 * 2352 + 16 + 1  # with headers and checksums around each sector, as CDs have them
TREES = ("!rockridge", "!rockridge,!joliet")  # libarchive's options; Rock Ridge only has other names for the same
_MOST_DESCRIPTORS = 64
_OF_UDF = (b"BEA01", b"NSR02", b"NSR03")  # ECMA-167, 2/9 and 3/9


def check(file: BinaryIO) -> None:
    """Raises `Closed` for UDF, alone or beside ISO 9660: nobody but clamd reads it here."""
    for number in range(_MOST_DESCRIPTORS):
        kind = at(file, _DESCRIPTORS_AT + number * _SECTOR + 1, len(MAGIC))
        if kind in _OF_UDF:
            raise unopenable("it holds the image of a disc in a format (UDF) that cannot be looked through")
        if kind != MAGIC:
            return
