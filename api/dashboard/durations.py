"""How long, and how long ago, for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worker import clock

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"))


def span(value: timedelta) -> str:
    """`40 ms`, `1.4 s`, `12 s`, `3 min`, `2 h`, `5 d`: the largest unit that there is one of."""
    seconds = max(0.0, value.total_seconds())
    for length, unit in _STEPS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    if seconds < 1:
        return f"{int(seconds * 1000)} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{int(seconds)} s"


def ago(moment: datetime) -> str:
    """How long ago that was, in whole seconds at least: a list that shows it changes by the minute, not each time."""
    age = clock.now() - moment
    return "just now" if age < timedelta(minutes=1) else span(age)


def field(moment: datetime | None) -> str:
    """As a form's field of the type `datetime-local` takes it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if moment else ""
