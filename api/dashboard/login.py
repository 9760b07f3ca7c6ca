"""Logging in with an operator's key, and out again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from api.dashboard import session as sessions_of_browsers
from api.dashboard.pages import page
from api.dashboard.session import Confirmed
from api.parts import PartsOf
from worker import sessions

router = APIRouter(include_in_schema=False)


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:  # noqa: A002 - its name in the address
    """Where operators give their key."""
    return page(request, "login.html", wanted=_ours(next), fault=None)


@router.post("/login")
def login(
    request: Request,
    parts: PartsOf,
    key: Annotated[str, Form(max_length=512)] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """The cookie of a new session; the page again where the key will not do."""
    try:
        session_id = sessions.begin(parts.database, key.strip())
    except sessions.NotAnOperator as fault:
        told = f"{fault.message} Expected: {fault.expected}."
        return page(request, "login.html", status=HTTPStatus.UNAUTHORIZED, wanted=_ours(next), fault=told)
    answer = RedirectResponse(_ours(next), HTTPStatus.SEE_OTHER)
    sessions_of_browsers.remember(answer, request, parts, session_id)
    return answer


@router.post("/logout")
def logout(session: Confirmed, parts: PartsOf) -> Response:
    """The session is over, also for whoever copied its cookie."""
    sessions.end(parts.database, session.id)
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    sessions_of_browsers.forget(answer)
    return answer


def _ours(address: str) -> str:
    """Where to go after the login: a path of this site, whatever a link says (`//host` and `/\\host` are others)."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if inside else "/"
