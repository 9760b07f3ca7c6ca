"""What follows a fault: the table of invariant 5."""

from __future__ import annotations

import pytest

from worker import retries
from worker.errors import (
    DatabaseUnavailable,
    LeaseOver,
    Permanent,
    ReencodingChanged,
    SandboxFailed,
    SandboxUnavailable,
    ScannerFailed,
    ScannerUnavailable,
    Stopped,
    StoreUnavailable,
    TimeLimitExceeded,
)
from worker.retries import Again, Enough, Pace
from worker.scratch import ScratchFull

PACE = Pace(max_attempts=3, base=2, cap=60)


@pytest.mark.parametrize(
    ("fault", "attempts", "setbacks", "expected"),
    [
        (ScannerFailed(), 1, 0, Again(2, counts=True)),
        (ScannerFailed(), 2, 1, Again(4, counts=True)),
        (ScannerFailed(), 3, 2, Enough),
        (SandboxFailed(), 1, 0, Again(2, counts=True)),
        (SandboxFailed(), 3, 2, Enough),
        (TimeLimitExceeded(), 1, 0, Again(2, counts=True)),
        (TimeLimitExceeded(), 3, 2, Enough),
        (ReencodingChanged(), 1, 0, Again(2, counts=True)),
        (ReencodingChanged(), 9, 8, Again(60, counts=True)),
        (RuntimeError("unforeseen"), 1, 0, Again(2, counts=True)),
        (RuntimeError("unforeseen"), 3, 2, Enough),
        (ScannerUnavailable(), 1, 0, Again(2, counts=False)),
        (ScannerUnavailable(), 1, 3, Again(16, counts=False)),
        (ScannerUnavailable(), 99, 98, Again(60, counts=False)),
        (StoreUnavailable(), 99, 98, Again(60, counts=False)),
        (DatabaseUnavailable(), 99, 0, Again(2, counts=False)),
        (SandboxUnavailable(), 99, 0, Again(2, counts=False)),
        (ScratchFull(), 99, 0, Again(2, counts=False)),
        (LeaseOver(), 99, 0, Again(2, counts=False)),
        (Stopped(), 99, 5, Again(0, counts=False)),
        (Permanent(), 1, 0, Enough),
    ],
)
def test_what_follows(fault: Exception, attempts: int, setbacks: int, expected: Again | type[Enough]) -> None:
    decision = retries.after(fault, attempts, setbacks, PACE, jitter=1.0)
    if isinstance(expected, Again):
        assert decision == expected
    else:
        assert isinstance(decision, expected)


def test_the_pause_has_a_ceiling_and_is_spread() -> None:
    patient = Pace(max_attempts=100, base=2, cap=60)
    pauses = [retries.after(ScannerFailed(), 50, 49, patient, jitter) for jitter in (0.0, 0.5, 0.99)]
    seconds = [pause.seconds for pause in pauses if isinstance(pause, Again)]
    assert seconds == sorted(set(seconds))
    assert 30 <= seconds[0] < seconds[-1] <= 60


def test_the_end_says_how_often_and_why() -> None:
    decision = retries.after(ScannerFailed("clamd hung up"), 3, 2, PACE, 0.5)
    assert isinstance(decision, Enough)
    assert "3 attempts" in decision.why
    assert "clamd hung up" in decision.why
