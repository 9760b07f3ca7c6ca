"""Scans and events as they are shown: closely, and in pages."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from worker.scan import Event, Status
from worker.views import ScanView


class ScanPage(BaseModel):
    """Some scans, newest first; fewer than asked for are the last only where `next_cursor` is null."""

    items: list[ScanView]
    next_cursor: str | None = Field(
        description="Ask with this for the next page; null at the end.",
        examples=["0199c3d2-7c1f-7a52-9b1e-4d5f60718293"],
    )


class ScanDetails(ScanView):
    """A scan, and what only whoever looks at it closely wants to know."""

    steps: dict[str, float] | None = Field(
        description="How long each step of the last attempt took, in milliseconds; null before the first. `seal` "
        "includes a `fetch`, and `inspect` whatever there was of `sniff`, `scan` and `image`, some of it side by side. "
        "Names may be added.",
        examples=[{"fetch": 4.1, "sniff": 9.7, "scan": 2.2, "inspect": 10.3, "settle": 11.9}],
    )


class EventView(BaseModel):
    """One transition."""

    at: datetime = Field(examples=["2026-01-15T09:30:00Z"])
    actor: str = Field(description="Who did it.", examples=["service:avatars key:lzr_7f3c"])
    from_: Status | None = Field(
        serialization_alias="from", description="Null at the beginning.", examples=["receiving"]
    )
    to: Status = Field(examples=["queued"])
    reason: str = Field(examples=["12345 bytes are in quarantine"])
    request_id: str | None = Field(description="Of the request that led to it.", examples=["checkout-7c1f"])
    decision: int = Field(description="Which decision of the scan it belongs to.", examples=[1])

    @classmethod
    def of(cls, event: Event) -> Self:
        return cls(
            at=event.at,
            actor=event.actor,
            from_=event.source,
            to=event.target,
            reason=event.reason,
            request_id=event.request_id,
            decision=event.decision,
        )


class EventPage(BaseModel):
    """The story of a scan, oldest first."""

    items: list[EventView]
