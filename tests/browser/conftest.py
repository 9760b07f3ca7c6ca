"""Debian's Chromium, on the stack that `make run` starts; pictures of what it saw go to var/screenshots."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.stack import Stack

SCREENSHOTS = Path("var/screenshots")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Gone when the last of these tests has ended: Playwright keeps the event loop that other tests start theirs in."""
    chromium = shutil.which("chromium")
    assert chromium, "`make test` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])  # tests may run as root
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A fresh profile, at the stack."""
    with browser.new_context(base_url=stack.base_url) as context:
        page = context.new_page()
        with console_kept(page):
            yield page


@contextmanager
def console_kept(page: Page) -> Iterator[None]:
    """Whatever the page says on its console meanwhile, or is kept from doing, is a fault."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda fault: said.append(str(fault)))
    yield
    assert said == []


@pytest.fixture
def operator(page: Page, stack: Stack) -> Page:
    """The same, logged in with the key that has every scope."""
    log_in(page, stack)
    return page


def log_in(page: Page, stack: Stack, at: str = "/") -> None:
    page.goto(at)
    page.get_by_label("Operator key").fill(stack.api_key)
    page.get_by_role("button", name="Log in").click()


def picture(page: Page, name: str) -> None:
    """Keep what the page looks like."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
