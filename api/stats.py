"""Statistics: what happened within a window, and how things stand."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from api.auth import Reader
from api.parts import Parts, PartsOf
from api.problems import Problem, documented
from worker import clock, stats
from worker.scan import Status
from worker.statistics import Latency, Now, Outcomes, Slot, Waiting
from worker.store import scanners

router = APIRouter(prefix="/v1/stats", tags=["statistics"])

_WINDOW = re.compile(r"([1-9][0-9]{0,2})([hd])")
_PATTERN = "^[1-9][0-9]{0,2}[hd]$"
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}
_MOMENT = "2026-01-15T09:00:00Z"


def _window(text: str) -> str:
    match = _WINDOW.fullmatch(text)
    if match is None or _length(text) > stats.LONGEST:
        raise ValueError("expected hours or days from 1h to 31d, as in 24h")
    return text


def _length(window: str) -> timedelta:
    return int(window[:-1]) * _UNITS[window[-1]]


class StatsQuery(BaseModel):
    """What is to be counted."""

    model_config = ConfigDict(extra="forbid")

    window: Annotated[
        str, AfterValidator(_window), WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["7d"]})
    ] = Field("24h", description="Until now, in hours or days: from 1h to 31d.")
    service: str | None = Field(
        None,
        pattern=r"^[\w.-]{1,64}$",
        description="Of this service; else all the key sees.",
        examples=["avatars"],
    )


class LatencyView(BaseModel):
    """From the queue to the outcome, in seconds, within 5 %."""

    p50: float = Field(description="Half of all files took no longer.", examples=[0.12])
    p95: float = Field(examples=[0.48])
    p99: float = Field(examples=[1.9])

    @classmethod
    def of(cls, latency: Latency) -> Self:
        return cls(p50=latency.p50, p95=latency.p95, p99=latency.p99)


class SlotView(BaseModel):
    """One step of the time line: an hour, or a day (UTC) where the window is longer than three."""

    at: datetime = Field(description="When it begins.", examples=[_MOMENT])
    by_status: dict[Status, int] = Field(examples=[{"clean": 120, "infected": 1}])

    @classmethod
    def of(cls, slot: Slot) -> Self:
        return cls(at=slot.at, by_status=slot.counts)


class QueueView(BaseModel):
    """What waits for a worker."""

    queue: str = Field(
        description="`scans`, `large`, `bulk` (which delay no other upload), or `rescans`.", examples=["scans"]
    )
    waiting: int = Field(examples=[3])
    oldest: datetime | None = Field(description="Since when the first waits; null: none does.", examples=[_MOMENT])

    @classmethod
    def of(cls, waiting: Waiting) -> Self:
        return cls(queue=waiting.queue, waiting=waiting.number, oldest=waiting.oldest)


class StatsView(BaseModel):
    """Each end of a decision counts once, in the hour in which it came; a few seconds later it is in here."""

    begin: datetime = Field(description="The beginning of the window's first hour.", examples=[_MOMENT])
    end: datetime = Field(examples=["2026-01-16T09:30:00Z"])
    service: str | None = Field(description="Whose files; null: everybody's.", examples=["avatars"])
    total: int = Field(description="How many ended.", examples=[1441])
    bytes: int = Field(description="Of the files that were examined, as uploaded.", examples=[72_000_000])
    by_status: dict[Status, int] = Field(description="The most frequent first.", examples=[{"clean": 1440}])
    by_service: dict[str, int] = Field(examples=[{"avatars": 1441}])
    by_type: dict[str, int] = Field(description="As detected.", examples=[{"image/jpeg": 1300}])
    by_reason: dict[str, int] = Field(description="Codes of reasons and errors.", examples=[{"type_mismatch": 1}])
    latency: LatencyView | None = Field(description="Null where nothing was examined.")
    slots: list[SlotView] = Field(description="The whole time line.")
    pending: dict[Status, int] = Field(description="Not ended, at the moment.", examples=[{"queued": 3}])
    held: dict[Status, int] = Field(description="Ended, and in quarantine still.", examples=[{"unscannable": 2}])
    queues: list[QueueView] = Field(description="At the moment.")
    signature_age: float | None = Field(
        description="Seconds since the oldest signatures in use were made; null where no worker knows.",
        examples=[7200.0],
    )

    @classmethod
    def of(cls, outcomes: Outcomes, now: Now, **others: Any) -> Self:
        return cls(
            begin=outcomes.begin,
            end=outcomes.end,
            total=outcomes.total,
            bytes=outcomes.bytes,
            by_status=outcomes.by_status,
            by_service=outcomes.by_service,
            by_type=outcomes.by_type,
            by_reason=outcomes.by_reason,
            latency=LatencyView.of(outcomes.latency) if outcomes.latency else None,
            slots=[SlotView.of(slot) for slot in outcomes.slots],
            pending=now.pending,
            held=now.held,
            queues=[QueueView.of(waiting) for waiting in now.queues],
            **others,
        )


@router.get("", responses=documented(HTTPStatus.FORBIDDEN))
def get_stats(query: Annotated[StatsQuery, Query()], caller: Reader, parts: PartsOf) -> StatsView:
    """Counts, latency and queues. A service sees its own, a key with `operate` everybody's. Scope: `read`."""
    service = query.service if caller.sees("") else caller.service
    if query.service not in (None, service):
        detail = f"This API key sees nothing of the service {query.service}."
        expected = "a key with operate, or a request without `service`"
        raise Problem(HTTPStatus.FORBIDDEN, "scope_missing", detail, expected=expected)
    outcomes, now = parts.stats.lately(_length(query.window), service), parts.stats.now(service)
    return StatsView.of(outcomes, now, service=service, signature_age=_signature_age(parts))


def _signature_age(parts: Parts) -> float | None:
    """By what workers reported lately."""
    now = clock.now()
    with parts.database.read() as connection:
        reported = scanners.since(connection, now - timedelta(seconds=parts.settings.canary_seconds))
    made = [each["database_time"] for each in reported if each["database_time"]]
    return (now - min(made)).total_seconds() if made else None
