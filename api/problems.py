"""Errors as `application/problem+json` (RFC 9457): what failed, what was expected, may it be sent again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from worker import telemetry
from worker.errors import Internal, LazarettoError, Transient
from worker.intake import FileTooLarge, UploadOvertaken, UploadStalled
from worker.quotas import NeverWithinQuota, QuotaExceeded
from worker.telemetry import Log

RETRY_SECONDS = 5
_STATUS: dict[type[LazarettoError], HTTPStatus] = {
    FileTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    NeverWithinQuota: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UploadStalled: HTTPStatus.REQUEST_TIMEOUT,
    UploadOvertaken: HTTPStatus.SERVICE_UNAVAILABLE,
}
_WORTH_WAITING = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})


class ProblemBody(BaseModel):
    """A problem as it is sent."""

    type: str = Field(examples=["urn:lazaretto:problem:file_too_large"])
    title: str
    status: int
    detail: str = Field(description="What failed.")
    code: str = Field(examples=["file_too_large"])
    expected: str | None = Field(description="What would have been accepted.")
    retryable: bool = Field(description="May the same request be sent again?")
    request_id: str | None


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
    """The `responses` of a route: these problems, beside those of every route."""
    every = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)
    shown = (*every, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, *statuses)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {int(status): {"description": status.phrase, "content": content, "model": ProblemBody} for status in shown}


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
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        telemetry.alarm(Log.REQUEST_FAILED, path=request.url.path, error=fault.message, code=fault.code)
    wait = fault.wait if isinstance(fault, QuotaExceeded) else RETRY_SECONDS
    headers = {"Retry-After": str(wait)} if status in _WORTH_WAITING else {}
    detail = fault.public if isinstance(fault, Internal) else fault.message
    problem = Problem(status, fault.code, detail, expected=fault.expected, retryable=fault.retryable, headers=headers)
    return _answer(request, problem)


async def _invalid(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, RequestValidationError):
        raise fault
    faults = [(".".join(str(part) for part in each["loc"]), each["msg"]) for each in fault.errors()]
    detail = "; ".join(f"{place}: {message}" for place, message in faults)
    expected = "a request as /docs describes it"
    return _answer(request, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, expected=expected))


async def _http(request: Request, fault: Exception) -> Response:
    if not isinstance(fault, HTTPException):
        raise fault
    status = HTTPStatus(fault.status_code)
    code = status.name.lower()
    detail = f"{request.method} {request.url.path}: {fault.detail}."
    headers = dict(fault.headers or {})
    allowed = headers.get("Allow")
    return _answer(request, Problem(status, code, detail, expected=allowed, headers=headers))


async def _gone(_request: Request, _fault: Exception) -> Response:
    """The client hung up: nobody reads this answer."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _unexpected(request: Request, fault: Exception) -> Response:
    telemetry.alarm(Log.REQUEST_FAILED, path=request.url.path, exc_info=fault)
    detail = "Something went wrong on our side; the log has it under this request id."
    return _answer(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail, retryable=True))


def _answer(request: Request, problem: Problem) -> JSONResponse:
    request_id = getattr(request.state, "request_id", None)
    body = ProblemBody(
        type=f"urn:lazaretto:problem:{problem.code}",
        title=problem.status.phrase,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        expected=problem.expected,
        retryable=problem.retryable,
        request_id=request_id,
    )
    headers = problem.headers | ({"X-Request-ID": request_id} if request_id else {})  # a 500 passes no middleware
    return JSONResponse(body.model_dump(), problem.status, headers=headers, media_type="application/problem+json")
