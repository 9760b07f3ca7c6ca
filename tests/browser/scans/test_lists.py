"""The list of scans: live, narrowed by its address, searched by one field."""

from __future__ import annotations

from contextlib import closing

from playwright.sync_api import Page, expect

from tests.browser.looks import looks_good, tabbed
from tests.browser.scans.senders import Sender
from tests.stack import Stack
from worker import api_keys
from worker.canaries import eicar
from worker.services import Scope
from worker.store.database import Database

SOON = 4000  # milliseconds: the list has looked again by then


def test_what_arrives_appears_by_itself_and_takes_nobodys_focus(operator: Page, sender: Sender) -> None:
    first = sender.sent("first.txt")
    operator.clock.install()
    operator.goto("/scans")
    operator.locator(f"#scan-{first}").focus()
    operator.evaluate("window.stays = true")
    second = sender.sent("second.txt")
    operator.clock.fast_forward(SOON)
    expect(operator.locator(f"#scan-{second}")).to_be_visible()
    expect(operator.locator(f"#scan-{first}")).to_be_focused()
    assert operator.evaluate("window.stays"), "it was loaded anew"
    looks_good(operator, "scans")


def test_a_ticked_box_stays_ticked(operator: Page, sender: Sender) -> None:
    failed = sender.failed("ticked.txt")
    operator.clock.install()
    operator.goto("/scans?status=failed")
    operator.locator(f"#tick-{failed}").check()
    later = sender.failed("later.txt")
    operator.clock.fast_forward(SOON)
    operator.clock.fast_forward(SOON)
    expect(operator.locator(f"#tick-{failed}")).to_be_checked()
    expect(operator.locator(f"#scan-{later}")).to_have_count(0)
    operator.locator(f"#tick-{failed}").uncheck()
    operator.clock.fast_forward(SOON)
    expect(operator.locator(f"#scan-{later}")).to_be_visible()


def test_one_field_finds_by_id_hash_signature_and_start_of_name(operator: Page, sender: Sender) -> None:
    found, infected = sender.sent("Quarterly figures.txt"), sender.sent("bad.txt", eicar())
    scan, signature = sender.scan(found), sender.scan(infected)["signatures"][0]
    for typed, told, expected in (
        (found.upper(), "Searched for id", found),
        (scan["sha256"], "Searched for SHA-256", found),
        (signature, "Searched for signature", infected),
        ("Quarterly fig", "Searched for file names that begin with", found),
        ("Quarterly", "because nothing has that signature", found),
    ):
        operator.goto("/scans")
        operator.get_by_role("searchbox").fill(typed)
        operator.keyboard.press("Enter")
        expect(operator.get_by_text(told)).to_be_visible()
        expect(operator.locator(f"#scan-{expected}")).to_be_visible()
    operator.get_by_role("link", name="Search no more").click()
    expect(operator.get_by_text("Searched for")).to_have_count(0)


def test_filters_stand_in_the_address(operator: Page, sender: Sender) -> None:
    held, clean = sender.held("filtered.zip"), sender.sent("filtered.txt")
    operator.goto("/scans")
    operator.get_by_role("link", name="Unscannable").click()
    expect(operator.locator(f"#scan-{held}")).to_be_visible()
    expect(operator.locator(f"#scan-{clean}")).to_have_count(0)
    operator.get_by_text("Filters", exact=True).click()
    operator.get_by_label("Reason", exact=True).select_option("encrypted")
    operator.get_by_role("button", name="Apply").click()
    assert "status=unscannable" in operator.url
    assert "reason=encrypted" in operator.url
    expect(operator.locator(f"#scan-{held}")).to_be_visible()
    looks_good(operator, "scans-filtered")
    operator.goto("/scans?since=1h&type=text/plain&service=default&q=filtered")
    expect(operator.locator(f"#scan-{clean}")).to_be_visible()
    operator.goto("/scans?service=nobody")
    expect(operator.get_by_text("No scan is like that.")).to_be_visible()
    looks_good(operator, "scans-none")


def test_operators_see_the_files_of_every_service(operator: Page, stack: Stack, sender: Sender) -> None:
    with closing(Database(stack.env["LAZARETTO_DATABASE_URL"])) as database:
        api_keys.add_service(database, "avatars")
        key = api_keys.create(database, "avatars", [Scope.SUBMIT, Scope.READ], None).key
    with stack.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        theirs = Sender(client).sent("theirs.txt")
    operator.goto("/scans?service=avatars")
    operator.locator(f"#scan-{theirs}").click()
    expect(operator.locator("#verdict")).to_have_text("Clean")
    expect(operator.get_by_role("link", name="avatars")).to_be_visible()


def test_a_file_is_retried_by_keyboard_alone(operator: Page, sender: Sender) -> None:
    failed = sender.failed("keyboard.txt")
    operator.goto("/scans?q=keyboard")
    operator.keyboard.press("Tab")
    operator.keyboard.press("Enter")
    names = tabbed(operator, 16)
    assert "keyboard.txt" in names
    operator.locator(f"#scan-{failed}").focus()
    operator.keyboard.press("Enter")
    expect(operator.locator("#verdict")).to_have_text("Failed")
    operator.keyboard.press("Tab")
    while "Retry" not in tabbed(operator, 1):
        pass
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("tried again", exact=True)).to_be_visible(timeout=10_000)
    expect(operator.locator("#verdict")).to_be_focused()
