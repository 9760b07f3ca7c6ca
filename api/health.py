"""Is this process alive, and can the system do its work?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.parts import Parts, PartsOf
from worker import clock, migrations
from worker.errors import LazarettoError
from worker.store import scanners

router = APIRouter(tags=["health"])


class Health(StrEnum):
    """`unavailable`: uploads cannot be taken in. `degraded`: they can, and something else needs mending."""

    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


class Check(BaseModel):
    """One thing that was looked at."""

    status: Health
    detail: str = Field(examples=["answers, and is up to date"])


class Readiness(BaseModel):
    """All of them; as bad as the worst."""

    status: Health
    checks: dict[str, Check] = Field(description="By the name of what was looked at.")


@router.head("/healthz", include_in_schema=False)  # load balancers ask so
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(response: Response, parts: PartsOf) -> Readiness:
    """503 only where uploads cannot be taken in; every other fault leaves them safe to accept."""
    found = await readiness(parts)
    if found.status is Health.UNAVAILABLE:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return found


async def readiness(parts: Parts) -> Readiness:
    """What a look at everything has found, now or a second ago."""
    return await parts.readiness.get(lambda: _look(parts))


async def _look(parts: Parts) -> Readiness:
    """At everything at once; what hangs takes its time-out, and holds up no other look."""
    looks: dict[str, tuple[Callable[[Parts], str], Health]] = {
        "database": (_database, Health.UNAVAILABLE),
        "quarantine": (_quarantine, Health.UNAVAILABLE),
        "clean": (_clean, Health.DEGRADED),
        "redis": (_redis, Health.DEGRADED),
        "policy": (_policy, Health.DEGRADED),
        "scanners": (_scanners, Health.DEGRADED),
        "room": (_room, Health.DEGRADED),
    }
    found = await asyncio.gather(*(parts.in_thread(_checked, look, parts, fault) for look, fault in looks.values()))
    checks = dict(zip(looks, found, strict=True))
    statuses = {check.status for check in found}
    worst = next(status for status in (Health.UNAVAILABLE, Health.DEGRADED, Health.OK) if status in statuses)
    return Readiness(status=worst, checks=checks)


def _checked(look: Callable[[Parts], str], parts: Parts, fault_means: Health) -> Check:
    try:
        return Check(status=Health.OK, detail=look(parts))
    except LazarettoError as fault:
        return Check(status=fault_means, detail=fault.message)


def _database(parts: Parts) -> str:
    if migrations.pending(parts.database):
        raise LazarettoError("the database is not up to date, expected `lazaretto migrate` to have run")
    return "answers, and is up to date"


def _quarantine(parts: Parts) -> str:
    parts.objects.check(parts.settings.quarantine_bucket)
    return f"bucket {parts.settings.quarantine_bucket} answers"


def _clean(parts: Parts) -> str:
    parts.objects.check(parts.settings.clean_bucket)
    return f"bucket {parts.settings.clean_bucket} answers"


def _redis(parts: Parts) -> str:
    parts.queue.check()
    return "answers"


def _policy(parts: Parts) -> str:
    return parts.policies.check()


def _room(parts: Parts) -> str:
    """Where there is none, uploads are refused for a while: sent elsewhere, they would meet the same line."""
    return parts.admission.check()


def _scanners(parts: Parts) -> str:
    """What the workers reported; a report that nobody renews is none."""
    with parts.database.read() as connection:
        reported = scanners.since(connection, clock.now() - timedelta(seconds=parts.settings.canary_seconds))
    if not reported:
        raise LazarettoError("no worker has reported a scanner lately, expected at least one running worker")
    detail = "; ".join(f"{each['name']}: {each['engine'] or 'not trusted'}, {each['detail']}" for each in reported)
    if not all(each["trusted"] for each in reported):
        raise LazarettoError(detail)
    return detail
