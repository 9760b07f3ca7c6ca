"""The present moment, how long something takes, and ids that carry their moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from uuid_utils import uuid7

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)  # no fraction of which is lost
_ahead = timedelta()  # how far the clock that we follow is ahead of this machine's


def now() -> datetime:
    """The present moment in UTC, as all processes of the installation have it."""
    return _own() + _ahead


def follow(ask: Callable[[], datetime]) -> timedelta:
    """Keep, from now on, the time that `ask` gives: of the database's server, since one machine must not take another's
    lease for over because their clocks differ. Returns how far it is ahead of this machine's."""
    global _ahead  # one time for the whole process, as there is one for the whole installation
    before = _own()
    theirs = ask()
    _ahead = theirs - before - (_own() - before) / 2
    return _ahead


def hour_of(moment: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """The beginning of its day, in UTC."""
    return hour_of(moment).replace(hour=0)


def elapsed() -> float:
    """Seconds since some moment, on this machine; they go on while it sleeps, as Python's monotonic ones do not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _own() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    """A UUIDv7 (RFC 9562) of the present moment: the order of ids is the order of their milliseconds."""
    return str(uuid7(nanoseconds=int(now().timestamp() * 1_000_000) * 1000))


def first_id(moment: datetime) -> str:
    """The lowest id of a moment's millisecond."""
    digits = f"{max(0, (moment - _EPOCH) // _MILLISECOND):012x}"[:12]
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def moment_of(scan_id: str) -> datetime:
    """The millisecond that an id carries."""
    return _EPOCH + int(scan_id.replace("-", "")[:12], 16) * _MILLISECOND
