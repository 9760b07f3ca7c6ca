"""Many held files are put back at once: counted first, each once, also without scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looks import looks_good
from tests.browser.scans.senders import Sender
from tests.clamd_proxy import ClamdProxy
from tests.stack import Stack


@pytest.fixture
def plain(browser: Browser, stack: Stack, logged_in: list[Any]) -> Iterator[Page]:
    """An operator whose browser runs no scripts."""
    with browser.new_context(base_url=stack.base_url, java_script_enabled=False) as context:
        context.add_cookies(logged_in)
        yield context.new_page()


def test_what_matches_is_counted_then_put_back(operator: Page, sender: Sender, scanner: ClamdProxy) -> None:
    failed = [sender.failed(f"outage {number}.txt") for number in range(3)]
    other = sender.failed("other.txt")
    operator.goto("/scans?status=failed&q=outage ")
    operator.get_by_role("link", name="Retry all that match…").click()
    expect(operator.get_by_role("heading", name="Retry 3 files?")).to_be_visible()
    looks_good(operator, "retry-confirm")
    assert {sender.scan(scan_id)["decision"] for scan_id in failed} == {1}
    scanner.sound = True
    operator.get_by_role("button", name="Retry them").click()
    expect(operator.get_by_role("heading", name="3 files are back in line")).to_be_visible()
    looks_good(operator, "retry-done")
    assert [sender.scan(scan_id, wait=30)["status"] for scan_id in failed] == ["clean"] * 3
    assert sender.scan(other)["status"] == "failed"


def test_the_ticked_ones_alone_are_put_back(operator: Page, sender: Sender, scanner: ClamdProxy) -> None:
    first, second, third = (sender.failed(f"pick {number}.txt") for number in range(3))
    operator.goto("/scans?status=failed")
    operator.locator(f"#tick-{first}").check()
    operator.locator(f"#tick-{third}").check()
    operator.get_by_role("button", name="Retry the ticked…").click()
    expect(operator.get_by_role("heading", name="Retry 2 files?")).to_be_visible()
    scanner.sound = True
    operator.get_by_role("button", name="Retry them").click()
    expect(operator.get_by_role("heading", name="2 files are back in line")).to_be_visible()
    assert [sender.scan(each)["decision"] for each in (first, second, third)] == [2, 1, 2]


def test_all_of_it_works_without_scripts(plain: Page, sender: Sender, scanner: ClamdProxy) -> None:
    failed, held = sender.failed("plain.txt"), sender.held("plain.zip")
    plain.goto(f"/scans/{held}")
    plain.get_by_text("Release…").click()
    plain.get_by_label("Reason").fill("   ")
    plain.get_by_role("button", name="Release it").click()
    expect(plain.get_by_role("alert")).to_contain_text("A release needs a reason")
    plain.get_by_text("Release…").click()
    plain.get_by_label("Reason").fill("known\nsender")
    plain.get_by_role("button", name="Release it").click()
    assert sender.scan(held, wait=30)["status"] == "released"
    plain.goto(f"/scans?id={failed}")
    plain.get_by_role("link", name="Retry all that match…").click()
    scanner.sound = True
    plain.get_by_role("button", name="Retry them").click()
    expect(plain.get_by_role("heading", name="1 file is back in line")).to_be_visible()
    assert sender.scan(failed, wait=30)["status"] == "clean"


def test_an_old_page_does_nothing_and_says_so(plain: Page, sender: Sender) -> None:
    failed = sender.failed("old page.txt")
    plain.goto(f"/scans/{failed}")
    sender.retry(failed)
    sender.scan(failed, wait=30)
    plain.get_by_role("button", name="Retry").click()
    expect(plain.get_by_role("alert")).to_have_text(
        "Nothing was done. The scan has been decided anew since this page was loaded."
    )
    assert sender.scan(failed)["decision"] == 2


def test_what_is_held_no_more_is_not_released(plain: Page, sender: Sender) -> None:
    held = sender.held("gone.zip")
    plain.goto(f"/scans/{held}")
    plain.get_by_text("Release…").click()
    plain.get_by_label("Reason").fill("too late")
    sender.erase(held)
    plain.get_by_role("button", name="Release it").click()
    expect(plain.get_by_role("alert")).to_contain_text("Nothing was done.")
    assert sender.scan(held)["status"] == "erased"
