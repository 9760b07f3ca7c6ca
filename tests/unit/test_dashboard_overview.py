"""The overview as it is written: of much, of little, of nothing; and of words that are hostile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import Request

from api.dashboard import figures
from api.dashboard.figures import Window
from api.dashboard.machinery import ScannerSeen
from api.dashboard.pages import page
from api.dashboard.session import Session
from api.dashboard.whereabouts import LABELS
from tests.unit.test_dashboard_figures import BEGIN, outcomes
from worker import clock
from worker.lanes import Lane
from worker.scan import Status
from worker.services import Caller, Scope
from worker.statistics import Latency, Now, Waiting

HOSTILE = '"><img src=x onerror=alert(1)> \N{RIGHT-TO-LEFT OVERRIDE}gpj.exe\x1b[31m'
NOTHING = Now(dict.fromkeys(Status, 0), {}, tuple(Waiting(lane, 0, None) for lane in Lane))


class _Seen(HTMLParser):
    """Every element, its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._said: list[str] = []
        self.feed(html)

    @property
    def text(self) -> str:
        """As somebody reads it."""
        return " ".join(" ".join(self._said).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self._said.append(data)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., _Seen]:
    """The page with this on it."""
    monkeypatch.setattr(clock, "now", lambda: BEGIN + timedelta(hours=5))
    caller = Caller("default", "lz_1234", frozenset(Scope))
    address = {"type": "http", "method": "GET", "scheme": "http", "server": ("x", 80), "path": "/", "query_string": b""}
    nothing: dict[str, Any] = {
        "window": Window.DAY,
        "service": "",
        "services": ["default"],
        "outcomes": outcomes(),
        "now": NOTHING,
        "scanners": [],
        "is_new": False,
        "figures": figures,
        "labels": LABELS,
    }

    def rendered(**known: Any) -> _Seen:
        request = Request({**address, "headers": []})
        session = Session(caller, "id", "token")
        answer = page(request, "overview.html", session, **(nothing | known))
        return _Seen(bytes(answer.body).decode())

    return rendered


def test_of_much(shown: Callable[..., _Seen]) -> None:
    happened = outcomes({Status.CLEAN: 9000}, {}, {Status.CLEAN: 120, Status.INFECTED: 3})
    happened = replace(
        happened,
        by_reason={"type_not_allowed": 2, "signature_found": 3},
        by_type={"image/jpeg": 9123},
        bytes=12_300_000_000,
        latency=Latency(0.4, 3.25, 64.0),
    )
    waiting = (Waiting("scans", 1204, BEGIN + timedelta(hours=2)), Waiting("bulk", 1, BEGIN))
    now = Now({Status.QUEUED: 1205, Status.SCANNING: 4}, {Status.FAILED: 17}, waiting)
    seen = shown(outcomes=happened, now=now, window=Window.WEEK)
    for said in ("Ended in 7 days 9,123 12.3 GB", "0.40 s 95 % 3.25 s, 99 % 1 min 4 s", "Failed 17"):
        assert said in seen.text
    for said in (
        "Under way 1,209 the oldest waits for 5 h",
        "scans 1,204 3 h",
        "Type not allowed 2",
        "image/jpeg 9,123",
    ):
        assert said in seen.text
    assert "From Clean Infected 2026-03-01 22:00 9,000 0 2026-03-02 00:00 120 3" in seen.text
    links = [value for name, value in seen.attributes if name == "href"]
    assert "/scans?status=failed" in links
    assert "/scans?since=2026-03-01T22%3A00%3A00Z&reason=signature_found" in links


def test_of_nothing_yet(shown: Callable[..., _Seen]) -> None:
    seen = shown(is_new=True)
    for said in (
        "Nothing has been uploaded yet",
        "lazaretto submit",
        "nothing ended",
        "nothing waits",
        "No worker has",
    ):
        assert said in seen.text
    assert "Nothing has been uploaded yet" not in shown().text


def test_of_one_service(shown: Callable[..., _Seen]) -> None:
    seen = shown(service="avatars", services=["avatars", "default"], outcomes=outcomes({Status.CLEAN: 1}))
    links = [value or "" for name, value in seen.attributes if name == "href"]
    assert "/scans?status=failed&service=avatars" in links
    assert "/scans?service=avatars&since=2026-03-01T22%3A00%3A00Z&status=clean" in links


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("trusted", "Trusted ClamAV 1.4.6 · signatures 27462, 5 h old"),
        ("refused", "Not trusted ClamAV 1.4.6 · signatures 27462, 5 h old missed EICAR"),
        ("silent", "No report for 5 h: its worker is gone, or cannot reach it."),
    ],
)
def test_of_a_scanner(shown: Callable[..., _Seen], state: str, said: str) -> None:
    scanner = ScannerSeen("host unix:///run/clamd", "ClamAV 1.4.6", "27462", BEGIN, state, "missed EICAR", BEGIN)
    assert said in shown(scanners=[scanner]).text


def test_of_words_that_are_hostile(shown: Callable[..., _Seen]) -> None:
    happened = replace(
        outcomes({Status.CLEAN: 1}), by_type={HOSTILE: 1}, by_reason={HOSTILE: 1}, by_service={HOSTILE: 1}
    )
    scanner = ScannerSeen(HOSTILE, HOSTILE, HOSTILE, BEGIN, "refused", HOSTILE, BEGIN)
    seen = shown(outcomes=happened, scanners=[scanner], services=[HOSTILE], service=HOSTILE)
    images = [name for name in seen.tags if name == "img"]
    assert len(images) == 1  # the one in the frame
    assert "onerror" not in [name for name, _ in seen.attributes]
    assert seen.text.count("onerror=alert(1)") == 8
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in seen.text
    assert "\x1b" not in seen.text
    ids = [value for name, value in seen.attributes if name == "id"]
    assert len(ids) == len(set(ids))
