"""What follows a fault: another attempt, and when, or the end. A pure function."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import Permanent, ReencodingChanged, Stopped, Transient


def doubling(base: float, cap: float, times: int, jitter: float) -> float:
    """A pause that has doubled so many times, up to the cap, in seconds; half of it is left to `jitter` in [0, 1)."""
    return min(cap, base * 2.0 ** min(times, 32)) * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient we are. Times in seconds."""

    max_attempts: int
    base: float
    cap: float

    def pause(self, setbacks: int, jitter: float) -> float:
        """How long to wait after so many setbacks in a row: doubling, up to the cap, and never all at once.

        `jitter` in [0, 1) spreads the work that an outage stopped at once.
        """
        return doubling(self.base, self.cap, setbacks, jitter)


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after a pause."""

    seconds: float
    counts: bool  # did this attempt use up one of the file's?


@dataclass(frozen=True, slots=True)
class Enough:
    """Give up: `failed`."""

    why: str


def after(fault: Exception, attempts: int, setbacks: int, pace: Pace, jitter: float) -> Again | Enough:
    """What to do after `fault` ended attempt number `attempts` (from 1), which `setbacks` others preceded in a row.

    A dependency that cannot be reached says nothing about the file and uses up no attempt; a fault that we do not
    know counts like any other.
    """
    if isinstance(fault, Permanent):
        return Enough(str(fault))
    if isinstance(fault, Stopped):
        return Again(0, counts=False)
    if isinstance(fault, ReencodingChanged):  # nothing is decided about these bytes: no end, however often
        return Again(pace.pause(setbacks, jitter), counts=True)
    counts = not isinstance(fault, Transient) or fault.counts
    if counts and attempts >= pace.max_attempts:
        return Enough(f"{attempts} attempts failed, the last one so: {fault}")
    return Again(pace.pause(setbacks, jitter), counts)
