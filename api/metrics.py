"""`/metrics`, for Prometheus: what all processes of this machine counted, and how the installation stands.

No key is asked for, as by any exporter, so the page names services, scanners and numbers, and no file and no scan.
It is not for everybody all the same: a proxy in front must not pass it on.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.parts import PartsOf
from worker import exposition

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, parts: PartsOf) -> Response:
    """What Prometheus scrapes, also in the format of OpenMetrics where `Accept` names it. At most 3 s old."""
    as_open = exposition.is_open(request.headers.get("Accept", ""))
    page = await parts.scrapes.page(as_open)
    return Response(page, headers={"Content-Type": exposition.content_type(as_open), "Vary": "Accept"})
