"""OLE compound files: Word, Excel and PowerPoint before 2007, and encrypted documents of any age.

libmagic goes by the name of the program in the summary, and calls the work of programs it does not know
`application/vnd.ms-office` or less. The streams in the root folder tell. ClamAV says OK to encrypted ones.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import encrypted, unopenable
from worker.sandbox.containers.ole_streams import Compound

_PACKAGE = "EncryptedPackage"  # an encrypted document of Office Open XML, whichever: [MS-OFFCRYPTO] 2.3.4.4
_TYPES = {  # in order: an encrypted document is encrypted, whatever it is else
    _PACKAGE: "application/encrypted",
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
}
_PROTECTED = frozenset({_PACKAGE, "\x09DRMContent", "EncryptedSummary"})  # [MS-OFFCRYPTO] 2.2.9, 2.3.5.4
_WORD_ENCRYPTED = 0x0100  # FibBase.fEncrypted, [MS-DOC] 2.5.2
_POWERPOINT_ENCRYPTED = 0xF3D1C4DF  # CurrentUserAtom.headerToken, [MS-PPT] 2.3.2
_NATIVE = "\x01Ole10Native"  # a file that somebody dragged into the document, behind where it came from
_EMBEDDED = frozenset({_NATIVE, "Package", "CONTENTS"})  # the latter are the file, and nothing else
_LONGEST_LABELS = 4096  # bytes; a name and two paths
_FILE_PASS = 0x2F  # [MS-XLS] 2.4.117
_BEGINNING_OF_FILE = 0x09  # the low byte of BOF, in every version of the format
_RECORDS_LOOKED_AT = 4096  # bytes of a workbook; FilePass follows the first record, with at most one between


def inner_type(file: BinaryIO) -> str | None:
    """The type of document, by its main stream."""
    try:
        names = Compound(file).names()
    except (struct.error, LookupError):
        return None
    return next((media_type for name, media_type in _TYPES.items() if name in names), None)


def check(file: BinaryIO) -> None:
    """Raises `Closed` for an encrypted document, and for a broken one."""
    try:
        compound = Compound(file)
        if compound.names() & _PROTECTED or _word(compound) or _excel(compound) or _powerpoint(compound):
            raise encrypted("the document")
    except (struct.error, LookupError) as error:
        raise unopenable("the document is broken") from error


def embedded(file: BinaryIO, allowance: Allowance) -> Iterator[BinaryIO]:
    """Each file that is embedded in the document. Raises `Closed` where they are too large, or it is broken."""
    try:
        for stream in Compound(file).everywhere(_EMBEDDED):
            allowance.count(1, 0, stream.size)
            allowance.unpack(stream.size)
            data = stream.beginning(stream.size)
            yield io.BytesIO(data[_labels(data) :] if stream.name == _NATIVE else data)
    except (struct.error, LookupError, ValueError) as error:
        raise unopenable("the document is broken") from error


def _labels(data: bytes) -> int:
    """Where the file begins: behind sizes, a name, a path, and the length of another path, and that. [MS-OLEDS] leaves
    it to the programs; so Packager writes it, and so oletools' oleobj reads it."""
    if data[4:6] != b"\2\0":
        return 4  # of another program
    place = data.index(b"\0", data.index(b"\0", 6, _LONGEST_LABELS) + 1, _LONGEST_LABELS) + 1 + 4
    return int(place + 4 + struct.unpack_from("<I", data, place)[0] + 4)


def _word(compound: Compound) -> bool:
    head = compound.beginning("WordDocument", 12)
    return len(head) == 12 and bool(struct.unpack_from("<H", head, 10)[0] & _WORD_ENCRYPTED)


def _excel(compound: Compound) -> bool:
    return any(_has_file_pass(compound.beginning(name, _RECORDS_LOOKED_AT)) for name in ("Workbook", "Book"))


def _has_file_pass(records: bytes) -> bool:
    place = 0
    while place + 4 <= len(records):
        kind, size = struct.unpack_from("<HH", records, place)
        if place == 0 and kind & 0xFF != _BEGINNING_OF_FILE:
            return False
        if kind == _FILE_PASS:
            return True
        place += 4 + size
    return False


def _powerpoint(compound: Compound) -> bool:
    head = compound.beginning("Current User", 16)
    return len(head) == 16 and struct.unpack_from("<I", head, 12)[0] == _POWERPOINT_ENCRYPTED
