"""A stack whose scanner some files are fatal to, until it is mended: so they fail, and can be retried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.scans.senders import Sender
from tests.clamd_proxy import ClamdProxy
from tests.stack import Stack

_SETTINGS = {
    "LAZARETTO_MAX_ATTEMPTS": "1",
    "LAZARETTO_RETRY_BASE": "0.2",
    "LAZARETTO_RETRY_CAP": "0.5",
}


@pytest.fixture(scope="session")
def scanner(clamd_tcp_address: str) -> Iterator[ClamdProxy]:
    with ClamdProxy.running(clamd_tcp_address) as proxy:
        proxy.down_seconds = 0.0  # it is back at once: other files need not wait for it
        yield proxy


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, development_signatures: Path, scanner: ClamdProxy
) -> Iterator[Stack]:
    """In place of the suite's: a file that fails there would be in everybody's numbers."""
    folder = tmp_path_factory.mktemp("scans")
    with Stack.started(folder, development_signatures, LAZARETTO_CLAMD=scanner.address, **_SETTINGS) as running:
        yield running


@pytest.fixture
def sender(stack: Stack, scanner: ClamdProxy) -> Iterator[Sender]:
    """Who uploads; the scanner is as fatal as ever."""
    scanner.sound = False
    with stack.client() as client:
        yield Sender(client)
