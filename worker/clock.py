"""The present moment, and ids that carry it."""

from __future__ import annotations

from datetime import UTC, datetime

from uuid_utils import uuid7


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A UUIDv7 (RFC 9562): the order of ids is the order of their milliseconds."""
    return str(uuid7())


def first_id(moment: datetime) -> str:
    """The lowest id of a moment's millisecond."""
    digits = f"{max(0, int(moment.timestamp() * 1000)):012x}"[:12]
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def moment_of(scan_id: str) -> datetime:
    """The millisecond that an id carries."""
    return datetime.fromtimestamp(int(scan_id.replace("-", "")[:12], 16) / 1000, UTC)
