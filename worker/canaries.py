"""Files that every scanner must flag before it is trusted with work. Made at run time, never committed."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from typing import NamedTuple

NESTING = 64  # deeper than any sensible MaxRecursion


class Canary(NamedTuple):
    """A file, and how the name that the scanner gives it must begin."""

    what: str
    data: Callable[[], bytes]
    expected: tuple[str, ...]


def eicar() -> bytes:
    """The EICAR test file (https://www.eicar.org/download-anti-malware-testfile/), joined here from two halves so
    that no scanner stumbles over our source."""
    return b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def encrypted_zip() -> bytes:
    """A zip whose only entry says that it is encrypted."""
    data = bytearray(_zipped("secret.txt", os.urandom(64)))
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", data, data.index(magic) + flags, 1)
    return bytes(data)


def nested_zip() -> bytes:
    """Zip in zip in zip, too deep to be looked into."""
    data = os.urandom(16)
    for _ in range(NESTING):
        data = _zipped("inner.zip", data)
    return data


def _zipped(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(name, data)
    return out.getvalue()


# The names are ClamAV's own: Eicar-Signature and Win.Test.EICAR_HDB-1 in the official database.
CANARIES = (
    Canary("EICAR", eicar, ("Eicar", "Win.Test.EICAR", "Lazaretto.Development.Eicar")),
    Canary("an encrypted zip", encrypted_zip, ("Heuristics.Encrypted",)),
    Canary("a zip nested too deep", nested_zip, ("Heuristics.Limits.Exceeded",)),
)
