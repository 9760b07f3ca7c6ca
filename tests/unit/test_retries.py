"""What follows a fault: the table of invariant 5."""

from __future__ import annotations

import pytest

from worker import retries
from worker.errors import (
    DatabaseUnavailable,
    Permanent,
    ReencodingChanged,
    SandboxFailed,
    ScannerFailed,
    ScannerUnavailable,
    StoreUnavailable,
)
from worker.retries import Again, Enough, Pace
from worker.scratch import ScratchFull

PACE = Pace(max_attempts=3, base=2, cap=60)


@pytest.mark.parametrize(
    ("fault", "attempts", "expected"),
    [
        (ScannerFailed(), 1, Again(2, counts=True)),
        (ScannerFailed(), 2, Again(4, counts=True)),
        (ScannerFailed(), 3, Enough),
        (SandboxFailed(), 1, Again(2, counts=True)),
        (SandboxFailed(), 3, Enough),
        (ReencodingChanged(), 1, Again(2, counts=True)),
        (RuntimeError("unforeseen"), 1, Again(2, counts=True)),
        (RuntimeError("unforeseen"), 3, Enough),
        (ScannerUnavailable(), 1, Again(4, counts=False)),
        (ScannerUnavailable(), 99, Again(4, counts=False)),
        (StoreUnavailable(), 99, Again(4, counts=False)),
        (DatabaseUnavailable(), 99, Again(4, counts=False)),
        (ScratchFull(), 99, Again(4, counts=False)),
        (Permanent(), 1, Enough),
    ],
)
def test_what_follows(fault: Exception, attempts: int, expected: Again | type[Enough]) -> None:
    decision = retries.after(fault, attempts, PACE, jitter=1.0)
    if isinstance(expected, Again):
        assert decision == expected
    else:
        assert isinstance(decision, expected)


def test_the_pause_has_a_ceiling_and_is_spread() -> None:
    patient = Pace(max_attempts=100, base=2, cap=60)
    pauses = [retries.after(ScannerFailed(), 50, patient, jitter) for jitter in (0.0, 0.5, 0.99)]
    seconds = [pause.seconds for pause in pauses if isinstance(pause, Again)]
    assert seconds == sorted(set(seconds))
    assert 30 <= seconds[0] < seconds[-1] <= 60


def test_the_end_says_how_often_and_why() -> None:
    decision = retries.after(ScannerFailed("clamd hung up"), 3, PACE, 0.5)
    assert isinstance(decision, Enough)
    assert "3 attempts" in decision.why
    assert "clamd hung up" in decision.why
