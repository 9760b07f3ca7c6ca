"""Time that passes when a test says so."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from worker import clock


class Calendar:
    """Everybody's clock, which a test can put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._passed = timedelta()
        self._real = clock.now
        monkeypatch.setattr(clock, "now", self._now)

    def pass_time(self, seconds: float) -> None:
        self._passed += timedelta(seconds=seconds)

    def _now(self) -> datetime:
        return self._real() + self._passed
