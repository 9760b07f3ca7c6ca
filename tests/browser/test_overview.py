"""The overview of an installation: before its first upload, while files come in, and when it cannot be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import console_kept, log_in
from tests.browser.looks import looks_good, tabbed
from tests.stack import Stack
from worker.canaries import eicar

_LIVE = 20_000  # ms: a scan, the sweeper that counts it, and the page that looks again
_DRAWN = "Chart.getChart('chart').data.datasets.map((each) => [each.label, each.data.reduce((a, b) => a + b, 0)])"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Stack]:
    """A stack that nobody else sends files to; the tests of this module follow one another on it."""
    with Stack.started(tmp_path_factory.mktemp("overview"), development_signatures) as running:
        yield running


@pytest.fixture
def overview(browser: Browser, own: Stack) -> Iterator[Page]:
    with browser.new_context(base_url=own.base_url) as context:
        page = context.new_page()
        with console_kept(page):
            log_in(page, own)
            expect(page.get_by_role("heading", name="Overview")).to_be_visible()
            yield page


def _upload(stack: Stack, name: str, data: bytes) -> str:
    """The outcome of a file."""
    with stack.client() as client:
        scan = client.put(f"/v1/uploads/{name}", content=data).raise_for_status().json()
        status: str = client.get(f"/v1/scans/{scan['id']}?wait=30").json()["status"]
        return status


def test_before_the_first_upload_it_says_how_to_begin(own: Stack, overview: Page) -> None:
    how = overview.get_by_role("heading", name="Nothing has been uploaded yet")
    expect(how).to_be_visible()
    expect(overview.get_by_role("status").get_by_text("OK")).to_be_visible()
    expect(overview.get_by_text("Everything answers.")).to_be_visible()
    looks_good(overview, "overview-empty")
    assert _upload(own, "hello.txt", b"hello") == "clean"
    expect(how).to_have_count(0, timeout=_LIVE)


def test_what_happens_is_shown_without_a_reload_and_disturbs_nobody(own: Stack, overview: Page) -> None:
    expect(overview.get_by_text("Everything answers.")).to_be_visible()
    overview.evaluate("window.isTheSame = true")
    overview.get_by_text("The same in numbers").click()
    expect(overview.locator("#by-status")).to_contain_text("clean", timeout=_LIVE)
    overview.locator("#status-clean").focus()  # in a part that will be another one
    overview.evaluate("scrollTo(0, 150)")
    assert _upload(own, "bad.txt", eicar()) == "infected"
    expect(overview.locator("#tile-ended")).to_contain_text("Ended in 24 hours2", timeout=_LIVE)
    expect(overview.locator("#by-status")).to_contain_text("infected")
    expect(overview.locator("#by-reason").get_by_role("link")).to_have_text("signature found")
    expect(overview.get_by_role("columnheader", name="infected")).to_be_visible()  # the table is still open
    assert overview.evaluate(_DRAWN) == [["clean", 1], ["infected", 1]]
    assert overview.evaluate("[window.isTheSame, document.activeElement.id, scrollY]") == [True, "status-clean", 150]


def test_it_looks_good(overview: Page) -> None:
    expect(overview.get_by_text("Everything answers.")).to_be_visible()
    overview.get_by_text("The same in numbers").click()
    looks_good(overview, "overview")


def test_the_window_and_the_service_stand_in_the_address(own: Stack, overview: Page) -> None:
    overview.get_by_role("button", name="7 days").click()
    expect(overview.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    expect(overview.locator("#tile-ended")).to_contain_text("Ended in 7 days2")
    overview.get_by_label("Service", exact=True).select_option("default")
    overview.get_by_role("button", name="Show").click()
    expect(overview).to_have_url(own.base_url + "/?service=default&window=7d")
    expect(overview.get_by_label("Service", exact=True)).to_have_value("default")
    link = overview.locator("#by-status").get_by_role("link", name="infected").get_attribute("href")
    assert re.fullmatch(r"/scans\?service=default&since=\d{4}-\d\d-\d\dT\d\d%3A00%3A00Z&status=infected", link or "")


def test_everything_is_reached_by_keyboard(overview: Page) -> None:
    expect(overview.get_by_text("Everything answers.")).to_be_visible()
    names = tabbed(overview, 16)
    assert names[:11] == [
        *("Skip to the content", "Lazaretto", "Overview", "Scans", "Health", "Log out"),
        *("24 hours", "7 days", "30 days"),
        names[9],  # the services
        "Show",
    ]
    assert overview.locator("#service").evaluate("(it) => it.labels[0].innerText") == "Service"
    assert names[11:] == ["OK", "0", "0", "The same in numbers", "receiving"]


def test_nobody_asks_for_a_page_that_nobody_sees(overview: Page) -> None:
    asked: list[str] = []
    overview.on("request", lambda request: asked.append(request.url) if request.resource_type == "xhr" else None)
    overview.clock.install()
    overview.reload()
    overview.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    asked.clear()
    overview.clock.run_for(9000)
    assert asked == []
    overview.evaluate("delete document.hidden")
    with overview.expect_response("/"):
        overview.clock.run_for(4000)


def test_who_logged_out_elsewhere_is_led_to_the_login(overview: Page) -> None:
    overview.goto("/?window=30d")
    another = overview.context.new_page()
    another.goto("/health")
    another.get_by_role("button", name="Log out").click()
    expect(overview.get_by_label("Operator key")).to_be_visible(timeout=_LIVE)
    assert overview.url.endswith("/login?next=%2F%3Fwindow%3D30d")


def test_a_page_that_cannot_refresh_says_so_and_goes_on(browser: Browser, own: Stack) -> None:
    with browser.new_context(base_url=own.base_url) as context:  # what it cannot reach it says on its console
        page = context.new_page()
        log_in(page, own)
        expect(page.get_by_text("Everything answers.")).to_be_visible()
        context.set_offline(True)
        notice = page.get_by_text("This page cannot refresh, and tries again. The server cannot be reached.")
        expect(notice).to_be_visible(timeout=_LIVE)
        expect(page.locator("#tile-ended")).to_be_visible()
        looks_good(page, "overview-offline")
        context.set_offline(False)
        expect(notice).to_have_count(0, timeout=_LIVE)


def test_it_works_without_scripts(browser: Browser, own: Stack) -> None:
    with browser.new_context(base_url=own.base_url, java_script_enabled=False) as context:
        page = context.new_page()
        log_in(page, own)
        expect(page.locator("#tile-ended")).to_contain_text("2")
        page.get_by_role("button", name="30 days").click()
        expect(page.locator("#tile-ended")).to_contain_text("Ended in 30 days")
        page.locator("#verdict").click()
        expect(page.get_by_text("Everything answers.")).to_be_visible()
