"""Errors as `application/problem+json` (RFC 9457): what failed, what was expected, may it be sent again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.dashboard import security
from api.methods import allowed_methods
from worker import telemetry
from worker.admission import Overloaded
from worker.body import FileTooLarge, UploadStalled
from worker.direct_uploads import NothingThere, NotUploadedYet
from worker.errors import Internal, LazarettoError, NothingHeld, Transient, WrongStatus
from worker.idempotency import KeyInFlight, KeyReused
from worker.intake import UploadOvertaken
from worker.quotas import NeverWithinQuota, QuotaExceeded
from worker.telemetry import Log

RETRY_SECONDS = 5
_STATUS: dict[type[LazarettoError], HTTPStatus] = {
    NothingThere: HTTPStatus.NOT_FOUND,
    NotUploadedYet: HTTPStatus.CONFLICT,
    FileTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    NeverWithinQuota: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UploadStalled: HTTPStatus.REQUEST_TIMEOUT,
    UploadOvertaken: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    KeyInFlight: HTTPStatus.CONFLICT,
    KeyReused: HTTPStatus.CONFLICT,
    WrongStatus: HTTPStatus.CONFLICT,
    NothingHeld: HTTPStatus.CONFLICT,
}

_HTTP = {  # the code of what Starlette finds wrong, and what would have been right
    HTTPStatus.BAD_REQUEST: ("bad_request", "a body of JSON (RFC 8259)"),
    HTTPStatus.NOT_FOUND: ("not_found", "a path of /openapi.json"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "another method"),
    HTTPStatus.REQUEST_TIMEOUT: ("request_timeout", "a body without long pauses"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("body_too_large", "a smaller body; files go to /v1/uploads"),
}
_JSON = re.compile(r"application/([\w.+-]+\+)?json\s*(;|$)", re.IGNORECASE)
_LONGEST_TEXT = 1000  # characters
_WITH_KEY = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_WAITING_HELPS = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})


class ProblemBody(BaseModel):
    """A problem as it is sent."""

    type: str = Field(examples=["urn:lazaretto:problem:file_too_large"])
    title: str = Field(examples=["Request Entity Too Large"])
    status: int = Field(examples=[413])
    detail: str = Field(description="What failed.", examples=["The file is larger than 104857600 bytes."])
    code: str = Field(description="For programs; new ones may be added.", examples=["file_too_large"])
    expected: str | None = Field(
        description="What would have been accepted.", examples=["a file of at most 104857600 bytes"]
    )
    retryable: bool = Field(description="May the same request be sent again?", examples=[False])
    request_id: str | None = Field(description="The one of X-Request-ID.", examples=["checkout-7c1f"])


class Problem(Exception):
    """The request cannot be served."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        *,
        expected: str | None = None,
        retryable: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.expected, self.retryable, self.headers = expected, retryable, headers or {}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that needs a key: these problems, beside those of all such routes. What they look
    like, `api.openapi` adds."""
    return {int(status): {"description": status.phrase} for status in (*_WITH_KEY, *statuses)}


def install(app: FastAPI) -> None:
    """Have every error of the application answered as a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(LazarettoError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


async def _problem(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, Problem):
        raise fault
    return _answer(request, fault)


async def _ours(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, LazarettoError):
        raise fault
    outage = isinstance(fault, Transient)
    fallback = HTTPStatus.SERVICE_UNAVAILABLE if outage else HTTPStatus.INTERNAL_SERVER_ERROR
    status = _STATUS.get(type(fault), fallback)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(fault, Overloaded):  # which is told once
        telemetry.alarm(Log.REQUEST_FAILED, path=request.url.path, error=fault.message, code=fault.code)
    wait = fault.wait if isinstance(fault, QuotaExceeded | Overloaded) else RETRY_SECONDS
    headers = {"Retry-After": str(wait)} if fault.retryable and status in _WAITING_HELPS else {}
    detail = fault.public if isinstance(fault, Internal) else fault.message
    problem = Problem(status, fault.code, detail, expected=fault.expected, retryable=fault.retryable, headers=headers)
    return _answer(request, problem)


async def _invalid(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, RequestValidationError):
        raise fault
    kind = request.headers.get("content-type", "")
    if any(each["loc"] == ("body",) for each in fault.errors()) and not _JSON.match(kind):
        detail = f"The body is {kind!r}." if kind else "The body is of no type."
        status, expected = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a body of type application/json"
        return _answer(request, Problem(status, "unsupported_media_type", detail, expected=expected))
    told = {_place(each["loc"]): _wanted(each) for each in fault.errors()}
    detail = f"Not as it should be: {', '.join(told)}."
    expected = "; ".join(f"{place}: {what}" for place, what in told.items())
    return _answer(request, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, expected=expected))


def _wanted(fault: Mapping[str, Any]) -> str:
    """In pydantic's words, but for what these leave open."""
    if fault["type"] == "extra_forbidden":
        return "nothing of this name; the documentation at /docs lists what there is"
    return str(fault["msg"]).removeprefix("Value error, ")


def _place(location: Sequence[int | str]) -> str:
    """`query limit`, `header Idempotency-Key`, `body metadata.a`: where in a request somebody has to look."""
    kind, *names = map(str, location)
    name = ".".join(names)
    return f"{kind} {name.title() if kind == 'header' else name}".rstrip()


async def _http(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, HTTPException):
        raise fault
    status = HTTPStatus(fault.status_code)
    code, expected = _HTTP.get(status, (status.name.lower(), "a request as /docs describes it"))
    detail = f"{request.method} {request.url.path}: {fault.detail}."
    headers = dict(fault.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        expected = headers["Allow"] = ", ".join(allowed_methods(request.app.router, request.scope))
    retryable = status is HTTPStatus.REQUEST_TIMEOUT
    return _answer(request, Problem(status, code, detail, expected=expected, retryable=retryable, headers=headers))


async def _gone(_request: Request, _fault: Exception) -> Response:
    """The client hung up: nobody reads this answer."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _unexpected(request: Request, fault: Exception) -> Response:
    telemetry.alarm(Log.REQUEST_FAILED, path=request.url.path, exc_info=fault)
    detail = "Something went wrong on our side; the log has it under this request id."
    problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail, retryable=True)
    answer = _answer(request, problem)
    answer.headers.update(security.headers(request.url.scheme))  # it passes no middleware
    answer.headers["Connection"] = "close"  # uvicorn hangs up, and with it would go the next request
    return answer


def _answer(request: Request, problem: Problem) -> JSONResponse:
    request_id = getattr(request.state, "request_id", None)
    body = body_of(problem, request_id)
    headers = problem.headers | ({"X-Request-ID": request_id} if request_id else {})  # a 500 passes no middleware
    return JSONResponse(body.model_dump(), problem.status, headers=headers, media_type="application/problem+json")


def body_of(problem: Problem, request_id: str | None) -> ProblemBody:
    """A problem as it is sent."""
    return ProblemBody(
        type=f"urn:lazaretto:problem:{problem.code}",
        title=problem.status.phrase,
        status=problem.status,
        detail=_legible(problem.detail),
        code=problem.code,
        expected=None if problem.expected is None else _legible(problem.expected),
        retryable=problem.retryable,
        request_id=request_id,
    )


def _legible(text: str) -> str:
    """Some of it is the client's words, and ends up in terminals and logs: no control characters, no reversed
    direction of writing, no halves of surrogate pairs, not endless."""
    shown = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return shown if len(shown) <= _LONGEST_TEXT else shown[: _LONGEST_TEXT - 1] + "…"
