"""What the system runs on: the checks of `/readyz`, and the scanners as workers last reported them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.dashboard.pages import page
from api.dashboard.session import SignedIn
from api.health import readiness
from api.parts import Parts, PartsOf
from worker import clock
from worker.store import scanners

_FADES = timedelta(days=1)  # after its last report a scanner is gone for good, as with a retired machine

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ScannerSeen:
    """A scanner, and whether anybody may rely on it."""

    name: str
    engine: str | None
    database: str | None  # the number of its signatures
    database_time: datetime | None
    state: str  # trusted, refused, silent
    detail: str
    checked_at: datetime


@router.get("/health")
async def health(request: Request, session: SignedIn, parts: PartsOf) -> Response:
    """A page of its own, which the overview fetches a part of: a store that hangs holds up nothing else."""
    found = await readiness(parts)
    seen = await parts.in_thread(scanners_seen, parts)
    return page(request, "health.html", session, readiness=found, scanners=seen)


def scanners_seen(parts: Parts) -> list[ScannerSeen]:
    """Every scanner that was heard of within a day."""
    now = clock.now()
    with parts.database.read() as connection:
        reported = scanners.since(connection, now - _FADES)
    fresh = now - timedelta(seconds=parts.settings.canary_seconds)
    return [
        ScannerSeen(state=_state(trusted=trusted, is_fresh=report["checked_at"] >= fresh), **report)
        for report in reported
        for trusted in [report.pop("trusted")]
    ]


def _state(*, trusted: bool, is_fresh: bool) -> str:
    if not is_fresh:
        return "silent"
    return "trusted" if trusted else "refused"
