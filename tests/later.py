"""Signatures that come out after a file was found clean: the real clamd learns them, and forgets them again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from ops.embedded.accounts import confined
from ops.embedded.clamd_server import ACCOUNT, Clamd
from tests.stack import Stack, until
from worker.adapters.clamd import Endpoint
from worker.scratch import Scratch

MALWARE = b"nobody calls this malware yet"
NAME = "Lazaretto.Test.Later"
_FILE = "later.ndb"
_SECONDS = 30


@contextmanager
def known_malware(clamd: Clamd, name: str = NAME, data: bytes = MALWARE) -> Iterator[None]:
    """Inside the block whatever holds `data` is found, by `name`."""
    path = clamd.signatures / _FILE
    path.write_text(f"{name}:0:*:{data.hex()}\n")
    if clamd.account:
        shutil.chown(path, ACCOUNT)
    _reload(clamd, data, expected=f"{name}.UNOFFICIAL")
    try:
        yield
    finally:
        path.unlink()
        _reload(clamd, data, expected=None)


def scanner_of(stack: Stack) -> Clamd:
    """Where a stack's own scanner is, and its signatures: what `known_malware` needs to know."""
    folder = Path(urlsplit(stack.env["LAZARETTO_CLAMD"]).path).parent
    configured = dict(line.partition(" ")[::2] for line in (folder / "clamd.conf").read_text().splitlines())
    return Clamd(folder, Path(configured["DatabaseDirectory"]), account=confined(ACCOUNT))


def _reload(clamd: Clamd, data: bytes, *, expected: str | None) -> None:
    """It answers by its old signatures until it has read the new ones."""
    endpoint = Endpoint(clamd.address, connect_timeout=2, timeout=_SECONDS)
    with endpoint._connected() as link:
        link.ask("RELOAD")
        assert link.reply() == "RELOADING"
    with Scratch(len(data), memory_limit=len(data), directory=None) as file:
        file.write(data)
        file.freeze()
        until(lambda: endpoint.scan(file.descriptor).found == expected, _SECONDS, f"clamd that says {expected}")
