"""How a page looks to everybody: in light and dark, on a phone, to a screen reader, without a mouse."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

from tests.browser.conftest import picture

PHONE = ViewportSize(width=360, height=740)
_DESKTOP = ViewportSize(width=1280, height=800)
_FOCUSED = """() => {
    const it = document.activeElement, style = getComputedStyle(it);
    return {
        name: (it.innerText || it.value || it.getAttribute('aria-label') || it.id).trim(),
        ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    };
}"""


def looks_good(page: Page, name: str) -> None:
    """What everybody may expect of a page, whatever is on it; pictures of it are kept under this name."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert faults(page) == [], f"{name}, {scheme}"
        picture(page, f"{name}-{scheme}")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    fits(page)
    picture(page, f"{name}-phone")
    page.set_viewport_size(_DESKTOP)


def faults(page: Page) -> list[str]:
    """What axe-core has against it (rules of WCAG 2.2 and good practice)."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


def fits(page: Page) -> None:
    """Nobody has to scroll sideways."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} pixels stick out"


def tabbed(page: Page, times: int) -> list[str]:
    """What the next presses of Tab lead to, by name; each shows that it has the focus."""
    names = []
    for _ in range(times):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        assert focused["ring"], f"{focused['name']!r} does not show its focus"
        names.append(focused["name"])
    return names
