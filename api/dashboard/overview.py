"""How things stand, at a glance."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.dashboard.pages import page
from api.dashboard.session import SignedIn

router = APIRouter(include_in_schema=False)


@router.get("/")
def overview(request: Request, session: SignedIn) -> Response:
    """The first page."""
    return page(request, "overview.html", session)
