"""What a person sees where something does not work: a page instead of a problem document, with the same status.

A part of a page that refreshes itself gets the same in one sentence, which dashboard.js shows beside the part.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from api.dashboard.pages import page
from api.dashboard.session import Forged, LoggedOut
from api.problems import ProblemBody

Handler = Callable[[Request, Exception], Awaitable[Response]]
_OF_THE_BODY = frozenset({"content-type", "content-length"})
_FOR_PROGRAMS = frozenset({"not_found", "method_not_allowed"})  # what these expect is said of the API
_TITLES = {
    HTTPStatus.FORBIDDEN: "Not accepted",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.METHOD_NOT_ALLOWED: "Not like this",
    HTTPStatus.CONFLICT: "Nothing was done",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Not understood",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available at the moment",
}


def install(app: FastAPI) -> None:
    """Have people told on pages what programs are told in problems. After `api.problems.install`."""
    for fault, handler in list(app.exception_handlers.items()):
        app.add_exception_handler(fault, _told_to_people(cast("Handler", handler)))
    app.add_exception_handler(LoggedOut, _logged_out)
    app.add_exception_handler(Forged, _forged)


def _told_to_people(handler: Handler) -> Handler:
    async def told(request: Request, fault: Exception) -> Response:
        answer = await handler(request, fault)
        if not isinstance(answer, JSONResponse) or not _asked_by_a_person(request):
            return answer
        shown = _page(request, ProblemBody.model_validate_json(bytes(answer.body)))
        for name, value in answer.headers.items():
            if name not in _OF_THE_BODY:
                shown.headers[name] = value
        return shown

    return told


def _asked_by_a_person(request: Request) -> bool:
    """Was it one of the pages, or would the browser have shown one?"""
    if request.url.path == "/v1" or request.url.path.startswith("/v1/"):
        return False
    module = getattr(request.scope.get("endpoint"), "__module__", "")
    return module.startswith("api.dashboard.") or "text/html" in request.headers.get("Accept", "")


def _page(request: Request, problem: ProblemBody) -> Response:
    status = HTTPStatus(problem.status)
    if "HX-Request" in request.headers:
        return PlainTextResponse(problem.detail, status, headers={"Cache-Control": "no-store"})
    title = _TITLES.get(status, "This did not work")
    session = getattr(request.state, "session", None)
    again = problem.retryable and request.method == "GET"
    expected = None if problem.code in _FOR_PROGRAMS else problem.expected
    return page(request, "fault.html", session, status, title=title, problem=problem, expected=expected, again=again)


async def _logged_out(request: Request, _fault: Exception) -> Response:
    """To the login page and back; a part of a page that refreshes itself has the whole page go there."""
    if "HX-Request" in request.headers:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Refresh": "true"})
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = quote(wanted, safe="") if request.method == "GET" else "%2F"
    return RedirectResponse(f"/login?next={back}", HTTPStatus.SEE_OTHER)


async def _forged(request: Request, _fault: Exception) -> Response:
    problem = ProblemBody(
        type="urn:lazaretto:problem:forged",
        title=HTTPStatus.FORBIDDEN.phrase,
        status=HTTPStatus.FORBIDDEN,
        detail="This form is not from a page of yours, or from one that is too old. Nothing was done.",
        code="forged",
        expected="the form of a page that was loaded after you logged in",
        retryable=False,
        request_id=request.state.request_id,
    )
    return _page(request, problem)
