"""What follows a fault: another attempt, and when, or the end. A pure function."""

from __future__ import annotations

from dataclasses import dataclass

from worker.errors import Permanent, Transient


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient we are. Times in seconds."""

    max_attempts: int
    base: float
    cap: float


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after a pause."""

    seconds: float
    counts: bool  # did this attempt use up one of the file's?


@dataclass(frozen=True, slots=True)
class Enough:
    """Give up: `failed`."""

    why: str


def after(fault: Exception, attempts: int, pace: Pace, jitter: float) -> Again | Enough:
    """What to do after `fault` ended attempt number `attempts` (from 1).

    `jitter` in [0, 1) spreads the work that an outage stopped at once. A dependency that cannot be reached says
    nothing about the file and uses up no attempt; a fault that we do not know counts like any other.
    """
    if isinstance(fault, Permanent):
        return Enough(str(fault))
    counts = not isinstance(fault, Transient) or fault.counts
    if counts and attempts >= pace.max_attempts:
        return Enough(f"{attempts} attempts failed, the last one so: {fault}")
    pause = min(pace.cap, pace.base * 2 ** (attempts - 1 if counts else 1))
    return Again(pause * (0.5 + jitter / 2), counts)
