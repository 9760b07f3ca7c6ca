"""How things stand, at a glance."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from api.dashboard import figures
from api.dashboard.figures import Window
from api.dashboard.machinery import scanners_seen
from api.dashboard.pages import page
from api.dashboard.session import SignedIn
from api.dashboard.whereabouts import LABELS
from api.parts import Parts, PartsOf
from worker.store import scans, services

router = APIRouter(include_in_schema=False)


@router.get("/")
def overview(
    request: Request,
    session: SignedIn,
    parts: PartsOf,
    window: Window = Window.DAY,
    service: Annotated[str, Query()] = "",
) -> Response:
    """Numbers of a window, of one service or (empty) of all; what waits; scanners. Its parts refresh themselves."""
    known = _services(parts)
    if service and service not in known:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such service")
    outcomes = parts.stats.lately(window.length, service or None)
    return page(
        request,
        "overview.html",
        session,
        window=window,
        service=service,
        services=known,
        outcomes=outcomes,
        now=parts.stats.now(service or None),
        scanners=scanners_seen(parts),
        is_new=not outcomes.total and _has_no_scan(parts),
        figures=figures,
        labels=LABELS,
    )


def _services(parts: Parts) -> list[str]:
    with parts.database.read() as connection:
        return sorted(services.all_names(connection))


def _has_no_scan(parts: Parts) -> bool:
    with parts.database.read() as connection:
        return not scans.page(connection, scans.Filter(), limit=1)
