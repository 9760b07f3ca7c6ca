"""Who is asking, and may they?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.limits import count_request
from api.parts import Parts, of
from api.problems import Problem
from api.timing import KEY_IS_KNOWN
from worker import services
from worker.services import Caller, Scope

_bearer = HTTPBearer(auto_error=False, description="An API key of your service.")
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def _identified(request: Request, parts: Parts, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    """The caller behind the request's key. In a thread: it asks the database, and Redis where a policy limits."""
    caller = services.identify(parts.database, credentials.credentials, parts.threads.submit) if credentials else None
    if caller is None:
        detail = "The API key is missing, unknown, expired or revoked."
        expected = "Authorization: Bearer <key>"
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, expected=expected, headers=_CHALLENGE)
    setattr(request.state, KEY_IS_KNOWN, True)
    count_request(request, parts, caller.service)
    return caller


def _needing(scope: Scope) -> Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[Caller]]:
    """One dependency, not a chain of them: FastAPI takes each apart again with every request."""

    async def checked(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        parts = await of(request)
        caller = await parts.in_thread(_identified, request, parts, credentials)
        if scope not in caller.scopes:
            detail = f"This API key does not carry the scope {scope.value}."
            raise Problem(HTTPStatus.FORBIDDEN, "scope_missing", detail, expected=f"a key with {scope.value}")
        return caller

    return checked


Submitter = Annotated[Caller, Depends(_needing(Scope.SUBMIT))]
Reader = Annotated[Caller, Depends(_needing(Scope.READ))]
Operator = Annotated[Caller, Depends(_needing(Scope.OPERATE))]
