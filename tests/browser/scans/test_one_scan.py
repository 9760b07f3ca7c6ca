"""One scan: an operator reads how it stands and why, and does something about it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests import images
from tests.browser.conftest import picture
from tests.browser.looks import looks_good
from tests.browser.scans.senders import Sender
from tests.clamd_proxy import ClamdProxy


def test_a_failed_file_is_read_retried_and_becomes_clean_before_ones_eyes(
    operator: Page, sender: Sender, scanner: ClamdProxy
) -> None:
    failed = sender.failed("report.txt")
    operator.goto("/scans?status=failed")
    operator.get_by_role("link", name="report.txt").click()
    expect(operator.locator("#verdict")).to_have_text("Failed")
    expect(operator.get_by_text("The scanner was given this very file and broke down")).to_be_visible()
    looks_good(operator, "scan-failed")
    operator.evaluate("window.stays = true")
    scanner.sound = True
    operator.get_by_role("button", name="Retry").click()
    expect(operator.locator("#verdict")).to_have_text("Clean", timeout=15_000)
    assert operator.evaluate("window.stays"), "it was loaded anew"
    expect(operator.locator("#told")).to_have_text("Clean")
    picture(operator, "scan-retried")
    [retried] = [event for event in sender.events(failed) if event["reason"] == "tried again"]
    assert (retried["from"], retried["to"], retried["decision"]) == ("failed", "queued", 2)
    assert retried["actor"].startswith("service:default key:bootstrap")


def test_a_held_file_is_released_for_a_reason(operator: Page, sender: Sender) -> None:
    held = sender.held("contract.zip")
    operator.goto(f"/scans/{held}")
    expect(operator.locator("#verdict")).to_have_text("Unscannable")
    expect(operator.get_by_text("nobody can look into it without the password")).to_be_visible()
    expect(operator.get_by_text("Without a decision they are deleted on")).to_be_visible()
    operator.get_by_text("Release…").click()
    looks_good(operator, "scan-held")
    operator.get_by_role("button", name="Release it").click()
    assert sender.scan(held)["status"] == "unscannable", "without a reason nothing is released"
    operator.get_by_label("Reason").fill("The sender phoned; this is the contract of 4 May.")
    operator.get_by_role("button", name="Release it").click()
    expect(operator.locator("#verdict")).to_have_text("Released", timeout=15_000)
    expect(operator.get_by_text("released: The sender phoned; this is the contract of 4 May.")).to_be_visible()
    expect(operator.get_by_text("The very bytes that were uploaded.")).to_be_visible()
    picture(operator, "scan-released")


def test_the_promoted_image_is_shown_beside_what_was_sent(operator: Page, sender: Sender) -> None:
    photo = sender.sent("photo.jpg", images.encode(images.photo(), "JPEG"), {"album": "\u202egpj", "n": [1, None]})
    operator.goto(f"/scans/{photo}")
    shown = operator.get_by_alt_text("The promoted image")
    expect(shown).to_be_visible()
    assert shown.evaluate("async it => { await it.decode(); return [it.naturalWidth, it.naturalHeight]; }") == [
        160,
        120,
    ]
    expect(operator.get_by_role("row", name="Pixels")).to_contain_text("160 \N{MULTIPLICATION SIGN} 120")
    expect(operator.get_by_role("region", name="Metadata as JSON")).to_contain_text('"album": "\\u202egpj"')
    looks_good(operator, "scan-image")
    headers = operator.request.get(f"/scans/{photo}/picture").headers
    assert headers["content-type"] == "image/jpeg"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_nothing_but_images_of_our_own_making_is_shown(operator: Page, sender: Sender) -> None:
    for scan_id in (sender.sent("a.txt"), sender.held("b.zip"), "nonsense", "0" * 8 + "-0000-7000-8000-" + "0" * 12):
        assert operator.request.get(f"/scans/{scan_id}/picture").status == 404


def test_a_file_is_erased_in_two_steps(operator: Page, sender: Sender) -> None:
    unwanted = sender.sent("unwanted.txt")
    operator.goto(f"/scans/{unwanted}")
    operator.get_by_role("link", name="Erase…").click()
    expect(operator.get_by_role("heading", name="Erase this file?")).to_be_visible()
    looks_good(operator, "scan-erase")
    operator.get_by_role("link", name="Keep it").click()
    assert sender.scan(unwanted)["status"] == "clean"
    operator.get_by_role("link", name="Erase…").click()
    operator.get_by_role("button", name="Erase for good").click()
    expect(operator.locator("#verdict")).to_have_text("Erased")
    assert sender.scan(unwanted)["status"] == "erased"
    [erased] = [event for event in sender.events(unwanted) if event["to"] == "erased"]
    assert erased["actor"].startswith("service:default key:bootstrap")


def test_a_clean_file_is_looked_at_once_more(operator: Page, sender: Sender) -> None:
    clean = sender.sent("clean.txt")
    operator.goto(f"/scans/{clean}")
    operator.get_by_role("button", name="Rescan").click()
    expect(operator.get_by_text("Note")).to_be_visible(timeout=15_000)
    expect(operator.locator("#verdict")).to_have_text("Clean")
    assert sender.events(clean)[-1]["reason"].startswith("rescanned")
