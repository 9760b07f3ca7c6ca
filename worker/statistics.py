"""What happened, in numbers: the shapes. Counts and percentiles come from hourly roll-ups, the rest from what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worker.scan import Status


@dataclass(frozen=True, slots=True)
class Latency:
    """From the arrival of a file to its outcome, in seconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Slot:
    """Outcomes from `at` on, for one step of the time line."""

    at: datetime
    counts: dict[Status, int]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What ended between two moments: one count for each end of a decision."""

    begin: datetime
    end: datetime
    total: int
    by_status: dict[Status, int]
    by_service: dict[str, int]  # the largest first, as are the next two
    by_type: dict[str, int]
    by_reason: dict[str, int]  # codes of reasons and of errors
    bytes: int
    latency: Latency | None  # None: nothing ended
    slots: tuple[Slot, ...]  # steps of an hour, or of a day where there would be too many


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a worker in one queue; by the database, which knows more than Redis."""

    queue: str
    number: int
    oldest: datetime | None  # arrival of the oldest


@dataclass(frozen=True, slots=True)
class Now:
    """How things stand."""

    pending: dict[Status, int]  # receiving, queued, scanning, settling
    held: dict[Status, int]  # unscannable, failed: with their bytes in quarantine
    queues: tuple[Waiting, ...]
