"""What is the same on every page: the frame, the login, and what a person sees where something does not work."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import log_in
from tests.browser.looks import looks_good, tabbed
from tests.stack import Stack


def test_the_login_page_looks_good(page: Page) -> None:
    page.goto("/login")
    looks_good(page, "login")


def test_a_wrong_key_is_told_beside_its_field(browser: Browser, stack: Stack) -> None:
    with browser.new_context(base_url=stack.base_url) as context:  # a page says on its console that it was answered 401
        page = context.new_page()
        page.goto("/login?next=/health")
        page.get_by_label("Operator key").fill("no-such-key")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("a key with the scope operate")
        expect(page.get_by_label("Operator key")).to_have_attribute("aria-invalid", "true")
        looks_good(page, "login-refused")
        page.get_by_label("Operator key").fill(stack.api_key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Health")).to_be_visible()


def test_a_fault_page_looks_good_and_leads_back(browser: Browser, stack: Stack) -> None:
    with browser.new_context(base_url=stack.base_url) as context:  # likewise with 404
        page = context.new_page()
        log_in(page, stack)
        page.goto("/<img src=x onerror=alert(1)>")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        expect(page.get_by_text(re.compile("onerror"))).to_be_visible()
        looks_good(page, "fault")
        page.get_by_role("link", name="To the overview").click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_the_frame_is_reached_by_keyboard_and_can_be_skipped(operator: Page) -> None:
    operator.goto("/health")
    begins = ["Skip to the content", "Lazaretto", "Overview", "Scans", "Health", "Log out"]
    assert tabbed(operator, len(begins)) == begins
    operator.reload()
    assert tabbed(operator, 1) == ["Skip to the content"]
    operator.keyboard.press("Enter")
    assert operator.evaluate("document.activeElement.id") == "main"
    assert "Log out" not in tabbed(operator, 1)


def test_the_documentation_of_the_api_runs_under_its_policy(operator: Page) -> None:
    operator.goto("/docs")
    expect(operator.get_by_role("button", name="Authorize")).to_be_visible()
    operator.get_by_text("Promise Upload").click()
    expect(operator.get_by_role("button", name="Try it out").first).to_be_visible()


def test_the_health_page_looks_good(operator: Page) -> None:
    operator.goto("/health")
    expect(operator.get_by_role("status").get_by_text("OK")).to_be_visible()
    expect(operator.get_by_text("Trusted")).to_be_visible()
    looks_good(operator, "health")
