"""The story of a scan: its events, and how long each step took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.scan import Event

_FIRST, _LAST = 5, 95  # events that are shown of a story without end


@dataclass(frozen=True, slots=True)
class Step:
    """An event, and the time since the one before."""

    event: Event
    after: float | None  # seconds; None: it is the first
    opens: bool  # does a further decision begin here?


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is shown of a story; `left_out` steps stood between `beginning` and `rest`."""

    beginning: tuple[Step, ...]
    left_out: int
    rest: tuple[Step, ...]


def of(events: Sequence[Event]) -> Timeline:
    """Oldest first."""
    steps = [_step(event, events[number - 1] if number else None) for number, event in enumerate(events)]
    left_out = max(0, len(steps) - _FIRST - _LAST)
    return Timeline(tuple(steps[:_FIRST]), left_out, tuple(steps[_FIRST + left_out :]))


def _step(event: Event, before: Event | None) -> Step:
    if before is None:
        return Step(event, None, opens=False)
    return Step(event, (event.at - before.at).total_seconds(), opens=event.decision != before.decision)
