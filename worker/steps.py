"""How long the steps of one attempt at a scan take: measured while it is at work, then kept on its record.

An attempt is known by the context of whoever is at work on it (`contextvars`); a thread that works for it must be given
a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from worker.instruments import Step

_attempt: ContextVar[dict[Step, float] | None] = ContextVar("attempt", default=None)


@contextmanager
def of_one_attempt() -> Iterator[None]:
    """Around an attempt: what its steps take is added up from here on."""
    outer = _attempt.set({})
    try:
        yield
    finally:
        _attempt.reset(outer)


def took(step: Step, seconds: float) -> None:
    """A step has ended; some are taken twice in one attempt. Outside of one it is nobody's."""
    times = _attempt.get()
    if times is not None:
        times[step] = times.get(step, 0.0) + seconds


def so_far() -> dict[str, float] | None:
    """What the steps of this attempt have taken until now, in milliseconds, by name; None outside of one."""
    times = _attempt.get()
    return None if times is None else {step.value: round(seconds * 1000, 1) for step, seconds in times.copy().items()}
