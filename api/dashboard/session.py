"""Who is logged in to the dashboard, and did a request come from one of its own pages?

The cookie holds the session's id, signed: what we did not give out never reaches the database. A form carries a token
that is signed for this session alone (OWASP's "HMAC based token pattern"), as a field or as the header `X-CSRF-Token`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import Response
from itsdangerous import BadSignature, Signer

from api.parts import Parts, PartsOf
from worker import sessions
from worker.services import Caller

COOKIE = "lazaretto_session"
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"


class LoggedOut(Exception):
    """Nobody is logged in; answered with the way to the login page."""


class Forged(Exception):
    """The request did not come from one of our pages."""


@dataclass(frozen=True, slots=True)
class Session:
    """An operator at work."""

    caller: Caller
    id: str
    csrf: str  # what forms of this session carry


def remember(response: Response, request: Request, parts: Parts, session_id: str) -> None:
    """Have the browser send the session from now on."""
    response.set_cookie(
        COOKIE,
        _signer(parts, "cookie").sign(session_id).decode(),
        max_age=int(sessions.LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def forget(response: Response) -> None:
    """Have the browser send no session any more."""
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


def _session(request: Request, parts: PartsOf) -> Session:
    """The session of a request; looked up each time, so that what is revoked ends at once. Raises `LoggedOut`."""
    session_id = _unsigned(_signer(parts, "cookie"), request.cookies.get(COOKIE, ""))
    caller = sessions.caller(parts.database, session_id) if session_id else None
    if session_id is None or caller is None:
        raise LoggedOut
    return Session(caller, session_id, _signer(parts, "csrf").sign(session_id).decode())


SignedIn = Annotated[Session, Depends(_session)]


async def _own_form(request: Request, session: SignedIn, parts: PartsOf) -> Session:
    """The session behind a form of our own pages. Raises `Forged` and `LoggedOut`."""
    token = request.headers.get(CSRF_HEADER) or (await request.form()).get(CSRF_FIELD)
    if not isinstance(token, str) or _unsigned(_signer(parts, "csrf"), token) != session.id:
        raise Forged
    return session


Confirmed = Annotated[Session, Depends(_own_form)]


def _signer(parts: Parts, purpose: str) -> Signer:
    return Signer(parts.session_secret, salt=f"lazaretto dashboard {purpose}", digest_method=hashlib.sha256)


def _unsigned(signer: Signer, value: str) -> str | None:
    try:
        return signer.unsign(value).decode()
    except BadSignature:
        return None
