"""What every scanner must show before it is trusted with work: it flags these files, which are made at run time and
never committed, and takes streams as large as uploads may be."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from typing import NamedTuple

from worker.adapters.clamd import Endpoint
from worker.errors import ScannerUnavailable
from worker.scratch import Scratch

_SECONDS = 30.0  # the longest a canary may take; they are small
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


def fly_canaries(endpoint: Endpoint) -> None:
    """Raises `ScannerUnavailable` for a blind scanner, and what `Endpoint.scan` raises."""
    for canary in CANARIES:
        data = canary.data()
        with Scratch(len(data), memory_limit=len(data), directory=None) as file:
            file.write(data)
            file.freeze()
            found = endpoint.scan(file.descriptor, _SECONDS).found
        if found is None or not found.startswith(canary.expected):
            raise ScannerUnavailable(
                f"{endpoint.address} said {found or 'OK'} to {canary.what}, expected {' or '.join(canary.expected)}"
            )


def check_reach(endpoint: Endpoint, largest: int) -> None:
    """Before it costs a service a file that its policy takes. Raises `ScannerUnavailable`."""
    if not endpoint.takes(largest, _SECONDS):
        raise ScannerUnavailable(
            f"{endpoint.address} takes no stream of {largest} bytes, expected a StreamMaxLength of at least the "
            "policy's largest max_size"
        )
