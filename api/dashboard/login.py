"""Logging in with an operator's key, and out again."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from api.dashboard import session as current
from api.dashboard.pages import page
from api.dashboard.session import Confirmed
from api.parts import Parts, PartsOf
from worker import sessions
from worker.settings import Environment

router = APIRouter(include_in_schema=False)


@router.get("/login")
def login_page(request: Request, parts: PartsOf, next: str = "/") -> Response:  # noqa: A002 - its name in the address
    """Where operators give their key."""
    return _page(request, parts, next)


@router.post("/login")
def login(
    request: Request,
    parts: PartsOf,
    key: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """The cookie of a new session, whatever session the browser had; the page again where the key will not do."""
    current.refuse_strangers(request)
    try:
        session_id = sessions.begin(parts.database, key.strip())
    except sessions.NotAnOperator as fault:
        told = f"{fault.message} Expected: {fault.expected}."
        return _page(request, parts, next, HTTPStatus.UNAUTHORIZED, told)
    if earlier := current.brought(request, parts):
        sessions.end(parts.database, earlier)
    answer = RedirectResponse(_ours(next), HTTPStatus.SEE_OTHER)
    current.remember(answer, request, parts, session_id)
    return answer


@router.post("/logout")
def logout(request: Request, session: Confirmed, parts: PartsOf) -> Response:
    """The session is over, also for whoever copied its cookie."""
    sessions.end(parts.database, session.id)
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    current.forget(answer, request, parts)
    return answer


def _page(
    request: Request, parts: Parts, wanted: str, status: HTTPStatus = HTTPStatus.OK, fault: str | None = None
) -> Response:
    no_tls = parts.settings.env is Environment.PRODUCTION and request.url.scheme != "https"
    return page(request, "login.html", status=status, wanted=_ours(wanted), fault=fault, no_tls=no_tls)


def _ours(address: str) -> str:
    """Where to go after the login: a path of this site, whatever a link says (`//host` and `/\\host` are others)."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if inside else "/"
