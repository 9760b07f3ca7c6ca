"""Pages of scans and events as they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from worker.scan import Event, Status
from worker.views import ScanView


class ScanPage(BaseModel):
    """Some scans, newest first."""

    items: list[ScanView]
    next_cursor: str | None = Field(description="Ask with this for the next page; null at the end.")


class EventView(BaseModel):
    """One transition."""

    at: datetime
    actor: str
    from_: Status | None = Field(serialization_alias="from")
    to: Status
    reason: str
    request_id: str | None
    decision: int

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
