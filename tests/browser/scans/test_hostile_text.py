"""Whatever text a file brings along is shown, and does nothing."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.browser.conftest import picture
from tests.browser.looks import PHONE, fits
from tests.browser.scans.senders import Sender

IMAGE = "<img src=x onerror=window.owned=1>.txt"
NAMES = (
    IMAGE,
    '" onmouseover="window.owned=1" x=\'.txt',
    "{{ 7*7 }}{% raw %}${7*7}.txt",
    "invoice\u202efdp.txt",
    "in\u200bvis\u2060ible.txt",
    "\x1b[31mred\x07.txt",
    "one\ntwo\r\nthree.txt",
    "Z" + "\u0335\u0321\u0489" * 60 + ".txt",
    "👩\u200d🚀🏴\u200d☠️.txt",
    "..\\..\\scans?status=failed#&id=.txt",
    "x" * 900 + ".txt",
)


def test_names_are_shown_and_do_nothing(operator: Page, sender: Sender) -> None:
    scan_ids = [sender.put(name) for name in NAMES]
    for scan_id in scan_ids:
        sender.scan(scan_id, wait=60)
    operator.set_viewport_size(PHONE)
    for address in ("/scans", *(f"/scans/{scan_id}" for scan_id in scan_ids), f"/scans/{scan_ids[0]}/erase"):
        operator.goto(address)
        _is_harmless(operator)
    operator.goto("/scans")
    expect(operator.get_by_text(IMAGE)).to_be_visible()
    picture(operator, "scans-hostile-names")


def test_metadata_and_searches_are_shown_and_do_nothing(operator: Page, sender: Sender) -> None:
    scan_id = sender.sent("a.txt", metadata={IMAGE: ["</pre><script>window.owned=1</script>", "\u202e\x1b[2J"]})
    operator.goto(f"/scans/{scan_id}")
    expect(operator.get_by_role("region", name="Metadata as JSON")).to_contain_text(IMAGE)
    _is_harmless(operator)
    for name in (IMAGE, "'\"><script>window.owned=1</script>", "\u202e"):
        for field in ("q", "service", "reason", "signature", "type", "name"):
            operator.goto(f"/scans?{field}={quote(name)}")
            _is_harmless(operator)


def test_addresses_that_make_no_sense_say_what_would(page: Page, operator: Page) -> None:
    for address, told in (
        ("/scans?status=fine", "status"),
        ("/scans?since=yesterday", "expected a moment such as"),
        ("/scans?cursor=1", "cursor"),
        ("/scans?name=%00", "without NUL"),
        ("/scans?statuss=failed", "statuss: expected some of"),
    ):
        answer = operator.request.get(address)
        assert (answer.status, told in answer.text()) == (422, True), address


def _is_harmless(page: Page) -> None:
    """Nothing became a part of the page, or went on the loose."""
    expect(page.locator("main img, main script")).to_have_count(0)
    assert page.evaluate("window.owned") is None
    fits(page)
    shown = page.locator("main").inner_text()
    assert not [each for each in shown if not each.isprintable() and each not in "\n\t"]
