"""Who is logged in to the dashboard, and did a request come from one of its own pages?

The cookie holds the session's id, signed: what we did not give out never reaches the database. A form carries a token
that is signed for this session alone (OWASP's "HMAC based token pattern"), as a field or as the header `X-CSRF-Token`.

Nobody counts tries to log in: keys are random, and long enough for whoever guesses to be no nearer after a year.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import Response
from itsdangerous import BadSignature, Signer

from api.parts import Parts, PartsOf
from worker import sessions
from worker.services import Caller
from worker.settings import Environment

COOKIE = "lazaretto_session"
COOKIE_BY_TLS = f"__Host-{COOKIE}"  # set by no neighbouring host and by nobody who reads and writes plain HTTP
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
    """Have the browser send the session from now on; in production by TLS alone."""
    secure = _by_tls(request, parts)
    response.set_cookie(
        _name(secure=secure),
        _signer(parts, "cookie").sign(session_id).decode(),
        max_age=int(sessions.LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def forget(response: Response, request: Request, parts: Parts) -> None:
    """Have the browser send no session any more."""
    secure = _by_tls(request, parts)
    response.delete_cookie(_name(secure=secure), httponly=True, samesite="lax", secure=secure)


def brought(request: Request, parts: Parts) -> str | None:
    """The id of the session that the browser sent, whether it is over or not; None where it sent none of ours."""
    cookie = request.cookies.get(_name(secure=_by_tls(request, parts)), "")
    return _unsigned(_signer(parts, "cookie"), cookie)


def refuse_strangers(request: Request) -> None:
    """Raise `Forged` where the page of another site sent the form (https://www.w3.org/TR/fetch-metadata/).

    Browsers leave `Sec-Fetch-Site` out without TLS, and then say in `Origin` whose page it was; programs send neither.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site not in ("same-origin", "none"):
        raise Forged
    if site is None and origin is not None and not _is_of(origin, request.headers.get("Host")):
        raise Forged


def _is_of(origin: str, host: str | None) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:  # no browser writes such an `Origin`
        return False


def _session(request: Request, parts: PartsOf) -> Session:
    """The session of a request; looked up each time, so that what is revoked ends at once. Raises `LoggedOut`."""
    session_id = brought(request, parts)
    caller = sessions.caller(parts.database, session_id) if session_id else None
    if session_id is None or caller is None:
        raise LoggedOut
    session = Session(caller, session_id, _signer(parts, "csrf").sign(session_id).decode())
    request.state.session = session
    return session


SignedIn = Annotated[Session, Depends(_session)]


async def _own_form(request: Request, session: SignedIn, parts: PartsOf) -> Session:
    """The session behind a form of our own pages. Raises `Forged` and `LoggedOut`."""
    refuse_strangers(request)
    async with request.form() as form:
        token = request.headers.get(CSRF_HEADER) or form.get(CSRF_FIELD)
    if not isinstance(token, str) or _unsigned(_signer(parts, "csrf"), token) != session.id:
        raise Forged
    return session


Confirmed = Annotated[Session, Depends(_own_form)]


def _by_tls(request: Request, parts: Parts) -> bool:
    """Does the browser speak TLS? In production it has to, whatever the proxy says."""
    return request.url.scheme == "https" or parts.settings.env is Environment.PRODUCTION


def _name(*, secure: bool) -> str:
    return COOKIE_BY_TLS if secure else COOKIE


def _signer(parts: Parts, purpose: str) -> Signer:
    return Signer(parts.session_secret, salt=f"lazaretto dashboard {purpose}", digest_method=hashlib.sha256)


def _unsigned(signer: Signer, value: str) -> str | None:
    try:
        return signer.unsign(value).decode()
    except (BadSignature, UnicodeError):  # a form may hold halves of surrogate pairs
        return None
