"""What a person sees where something does not work: a page, not a problem document."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from api.dashboard.pages import page
from api.dashboard.session import Forged, LoggedOut


def install(app: FastAPI) -> None:
    """Have what pages raise answered with pages."""
    app.add_exception_handler(LoggedOut, _logged_out)
    app.add_exception_handler(Forged, _forged)


async def _logged_out(request: Request, _fault: Exception) -> Response:
    """To the login page and back; a part of a page that refreshes itself takes the whole page there."""
    if "HX-Request" in request.headers:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": "/login"})
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = quote(wanted, safe="") if request.method == "GET" else "%2F"
    return RedirectResponse(f"/login?next={back}", HTTPStatus.SEE_OTHER)


async def _forged(request: Request, _fault: Exception) -> Response:
    told = "This form is not from a page of yours, or from one that is too old. Nothing was done; load the page again."
    return page(request, "fault.html", status=HTTPStatus.FORBIDDEN, title="Not accepted", told=told)
