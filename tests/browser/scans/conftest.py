"""A stack whose scanner some files are fatal to, until it is mended: so they fail, and can be retried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import log_in
from tests.browser.scans.senders import Sender
from tests.clamd_proxy import ClamdProxy
from tests.stack import Stack

_SETTINGS = {
    "LAZARETTO_MAX_ATTEMPTS": "1",
    "LAZARETTO_RETRY_BASE": "0.2",
    "LAZARETTO_RETRY_CAP": "0.5",
}


@pytest.fixture(scope="package")
def scanner(clamd_tcp_address: str) -> Iterator[ClamdProxy]:
    with ClamdProxy.running(clamd_tcp_address) as proxy:
        proxy.down_seconds = 0.0  # it is back at once: other files need not wait for it
        yield proxy


@pytest.fixture(scope="package")
def stack(
    tmp_path_factory: pytest.TempPathFactory, development_signatures: Path, scanner: ClamdProxy
) -> Iterator[Stack]:
    """In place of the suite's: a file that fails there would be in everybody's numbers."""
    folder = tmp_path_factory.mktemp("scans")
    with Stack.started(folder, development_signatures, LAZARETTO_CLAMD=scanner.address, **_SETTINGS) as running:
        yield running


@pytest.fixture(scope="package")
def logged_in(browser: Browser, stack: Stack) -> list[Any]:
    """What the browser of an operator keeps."""
    with browser.new_context(base_url=stack.base_url) as context:
        page = context.new_page()
        log_in(page, stack, "/scans")
        expect(page.get_by_role("heading", name="Scans")).to_be_visible()
        return context.cookies()


@pytest.fixture
def operator(page: Page, logged_in: list[Any]) -> Page:
    """Somebody who has logged in."""
    page.context.add_cookies(logged_in)
    return page


@pytest.fixture
def sender(stack: Stack, scanner: ClamdProxy) -> Iterator[Sender]:
    """Who uploads; the scanner is as fatal as ever."""
    scanner.sound = False
    with stack.client() as client:
        yield Sender(client)
