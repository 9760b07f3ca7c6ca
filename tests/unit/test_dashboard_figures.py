"""Numbers for people: what they read, and where it leads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from api.dashboard import figures
from api.dashboard.pages import age, duration, inert, moment, size
from worker import clock
from worker.scan import Status
from worker.statistics import Outcomes, Slot

BEGIN = datetime(2026, 3, 1, 22, tzinfo=UTC)


def outcomes(*counts: dict[Status, int], step: timedelta = timedelta(hours=1)) -> Outcomes:
    """Of a service to which these happened, one step after the other."""
    by_status: dict[Status, int] = {}
    for each in counts:
        for status, number in each.items():
            by_status[status] = by_status.get(status, 0) + number
    slots = tuple(Slot(BEGIN + at * step, each) for at, each in enumerate(counts))
    end = BEGIN + len(counts) * step
    return Outcomes(BEGIN, end, sum(by_status.values()), by_status, {}, {}, {}, 0, None, slots)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0.00 s"),
        (0, "0.00 s"),
        (0.423, "0.42 s"),
        (9.99, "9.99 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (64.2, "1 min 4 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (7260, "2 h 1 min"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
        (9e7, "1041 d 16 h"),
    ],
)
def test_a_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (180000, "2 d")]
)
def test_an_age(seconds: float, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: BEGIN + timedelta(seconds=seconds))
    assert age(BEGIN) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (10**9, "1.0 GB"), (10**16, "10000.0 TB")],
)
def test_a_size(number: int | None, said: str) -> None:
    assert size(number) == said


def test_a_moment_is_in_utc() -> None:
    assert moment(datetime.fromisoformat("2026-03-01T23:30:00+02:00")) == "2026-03-01 21:30:00"
    assert moment(None) == ""


def test_text_that_hides_something_becomes_visible() -> None:
    assert inert("a\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe\x1b[31m\n\N{ZERO WIDTH SPACE}") == "a�gpj.exe�[31m��"
    assert inert("фото 写真 🎉.jpg") == "фото 写真 🎉.jpg"


def test_bars_are_the_largest_and_lead_to_their_scans() -> None:
    counts = {f"type/{number}": number for number in range(1, 12)}
    found = figures.bars("type", counts, service="avatars", since="2026-03-01T22:00:00Z")
    assert [bar.number for bar in found.shown] == [11, 10, 9, 8, 7, 6, 5, 4]
    assert [round(bar.share) for bar in found.shown[:2]] == [100, 91]
    assert (found.others, found.others_number) == (3, 6)
    assert figures.bars("type", {"other": 5}).shown[0].link is None
    assert found.shown[0].link == "/scans?service=avatars&since=2026-03-01T22%3A00%3A00Z&type=type%2F11"


def test_bars_speak_plainly_and_link_by_code() -> None:
    [held] = figures.bars("status", {Status.UNSCANNABLE: 1}).shown
    assert (held.label, held.link) == ("Unscannable", "/scans?status=unscannable")
    [malware] = figures.bars("reason", {"signature_found": 1}).shown
    assert (malware.label, malware.link) == ("Malware found", "/scans?reason=signature_found")
    [unknown] = figures.bars("reason", {"of_a_newer_release": 1}).shown
    assert unknown.label == "of_a_newer_release"


def test_a_link_cannot_be_broken_out_of() -> None:
    found = figures.bars("type", {'"><script>&status=clean#': 1}, service=None)
    assert found.shown[0].link == "/scans?type=%22%3E%3Cscript%3E%26status%3Dclean%23"
    assert figures.scans_link() == "/scans"


def test_a_time_line_has_a_count_for_each_slot_of_each_outcome() -> None:
    drawn = json.loads(figures.timeline(outcomes({Status.FAILED: 2}, {}, {Status.CLEAN: 7, Status.FAILED: 1})))
    assert drawn["series"] == [
        {"name": "clean", "label": "Clean", "counts": [0, 0, 7]},
        {"name": "failed", "label": "Failed", "counts": [2, 0, 1]},
    ]
    assert [slot["label"] for slot in drawn["slots"]] == ["22:00", "23:00", "2 Mar"]
    assert drawn["slots"][2]["title"] == "2026-03-02 00:00"


def test_a_time_line_of_days_names_days() -> None:
    days = outcomes({Status.CLEAN: 1}, {Status.CLEAN: 2}, step=timedelta(days=1))
    drawn = json.loads(figures.timeline(days))
    assert drawn["slots"] == [{"label": "1 Mar", "title": "2026-03-01"}, {"label": "2 Mar", "title": "2026-03-02"}]


def test_every_outcome_has_a_place_in_the_chart() -> None:
    ended = {status: 1 for status in Status if status.ended}
    assert set(figures.columns(outcomes(ended))) == set(ended)
    assert json.loads(figures.timeline(outcomes()))["series"] == []
