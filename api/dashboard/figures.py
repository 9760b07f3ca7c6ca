"""Numbers as the overview shows them: bars, the time line for the chart, and the links to the scans behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from enum import StrEnum
from urllib.parse import urlencode

from api.dashboard import words
from api.dashboard.whereabouts import LABELS
from worker.scan import Status
from worker.statistics import Outcomes, Slot
from worker.tally import OTHER

_MOST_BARS = 8
_ORDER = (  # from below in a column of the chart: what is well first, what waits for somebody on top
    Status.CLEAN,
    Status.RELEASED,
    Status.REJECTED,
    Status.INFECTED,
    Status.ERASED,
    Status.EXPIRED,
    Status.UNSCANNABLE,
    Status.FAILED,
)


class Window(StrEnum):
    """How far back the overview looks; the word in its address."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def words(self) -> str:
        return {Window.DAY: "24 hours", Window.WEEK: "7 days", Window.MONTH: "30 days"}[self]

    @property
    def length(self) -> timedelta:
        return {Window.DAY: timedelta(days=1), Window.WEEK: timedelta(days=7), Window.MONTH: timedelta(days=30)}[self]


@dataclass(frozen=True, slots=True)
class Bar:
    """One count among others."""

    name: str
    label: str  # the same in plain words
    number: int
    share: float  # per cent of the longest bar
    link: str | None  # None: no list shows these alone


@dataclass(frozen=True, slots=True)
class Bars:
    """The largest counts, and how many more there are."""

    shown: list[Bar]
    others: int  # counts that are not shown
    others_number: int  # what they add up to


def bars(field: str, counts: Mapping[str, int], **wanted: str | None) -> Bars:
    """Counts by one field of a scan, each linked to its scans: those that are `wanted` otherwise."""
    largest = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    most = max(counts.values(), default=0)
    shown = [
        Bar(name, _in_words(field, name), number, 100 * number / max(1, most), _link(field, name, wanted))
        for name, number in largest[:_MOST_BARS]
    ]
    rest = [number for _, number in largest[_MOST_BARS:]]
    return Bars(shown, len(rest), sum(rest))


def _in_words(field: str, name: str) -> str:
    if field == "status":
        return LABELS[Status(name)]
    return words.of(name).label if field == "reason" else name


def _link(field: str, name: str, wanted: Mapping[str, str | None]) -> str | None:
    return None if name == OTHER else scans_link(**{**wanted, field: name})


def scans_link(**wanted: str | None) -> str:
    """The address of the list of these scans."""
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    return f"/scans?{query}" if query else "/scans"


def columns(outcomes: Outcomes) -> list[Status]:
    """The outcomes that there were, in the order in which they are drawn."""
    return [status for status in _ORDER if outcomes.by_status.get(status)]


def timeline(outcomes: Outcomes) -> str:
    """What overview.js draws, as JSON: a label for each slot, and a series of counts for each outcome."""
    series = [
        {
            "name": status.value,
            "label": LABELS[status],
            "counts": [slot.counts.get(status, 0) for slot in outcomes.slots],
        }
        for status in columns(outcomes)
    ]
    daily = is_daily(outcomes)
    slots = [{"label": _label(slot, daily=daily), "title": title(slot, daily=daily)} for slot in outcomes.slots]
    return json.dumps({"slots": slots, "series": series})


def is_daily(outcomes: Outcomes) -> bool:
    """Is a slot a day, not an hour?"""
    times = [slot.at for slot in outcomes.slots[:2]]
    return len(times) == 2 and times[1] - times[0] >= timedelta(days=1)


def title(slot: Slot, *, daily: bool) -> str:
    """When it was, in full; in UTC."""
    return slot.at.astimezone(UTC).strftime("%Y-%m-%d" if daily else "%Y-%m-%d %H:%M")


def _label(slot: Slot, *, daily: bool) -> str:
    at = slot.at.astimezone(UTC)
    return f"{at.day} {at:%b}" if daily or at.hour == 0 else f"{at:%H:%M}"
