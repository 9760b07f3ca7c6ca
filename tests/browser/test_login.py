"""An operator logs in with a key, and out again."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in, picture
from tests.stack import Stack


def test_an_operator_logs_in_and_comes_where_they_wanted(page: Page, stack: Stack) -> None:
    log_in(page, stack, "/?window=7d")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert page.url == stack.base_url + "/?window=7d"
    picture(page, "overview")


def test_the_cookie_is_for_this_site_and_for_no_script(page: Page, stack: Stack) -> None:
    log_in(page, stack)
    [cookie] = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("lazaretto_session", True, "Lax")


def test_who_logged_out_is_out_also_with_the_old_cookie(page: Page, stack: Stack) -> None:
    log_in(page, stack)
    [cookie] = page.context.cookies()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Operator key")).to_be_visible()
    page.context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": stack.base_url}])
    page.goto("/")
    expect(page.get_by_label("Operator key")).to_be_visible()
