"""Use case: an operator logs in with a key, and stays for some hours, or until the key or the session is ended.

A session's id is kept as its hash, like a key: who reads the database cannot take one over.
"""

from __future__ import annotations

import secrets
from datetime import timedelta

from worker import clock, telemetry
from worker.errors import LazarettoError
from worker.services import Caller, Scope, hashed, identify
from worker.store import secrets as stored_secrets
from worker.store import sessions as stored
from worker.store.database import Database
from worker.telemetry import Log

LIFETIME = timedelta(hours=12)
_SECRET = "sessions"  # noqa: S105 - its name


class NotAnOperator(LazarettoError):
    """This is not the key of an operator."""

    code = "not_an_operator"
    expected = "a key with the scope operate that is neither expired nor revoked"


def signing_secret(database: Database) -> str:
    """What session cookies are signed with; drawn at the first start, the same in every process."""
    with database.write() as connection:
        return stored_secrets.ensure(connection, _SECRET, secrets.token_urlsafe(32))


def begin(database: Database, key: str) -> str:
    """Log in; returns the id of a new session. Raises `NotAnOperator`."""
    caller = identify(database, key)
    if caller is None or Scope.OPERATE not in caller.scopes:
        telemetry.warn(Log.LOGIN_REFUSED, actor=caller.actor if caller else None)
        raise NotAnOperator
    session = secrets.token_urlsafe(32)
    with database.write() as connection:
        stored.add(connection, hashed(session), hashed(key), clock.now() + LIFETIME)
    telemetry.say(Log.OPERATOR_LOGGED_IN, actor=caller.actor)
    return session


def caller(database: Database, session: str) -> Caller | None:
    """Who is logged in; None once the session is over, or its key."""
    now = clock.now()
    with database.read() as connection:
        found = stored.get(connection, hashed(session))
    if found is None or found.expires_at <= now or not found.key.valid_at(now):
        return None
    scopes = frozenset(Scope(scope) for scope in found.key.scopes)
    return Caller(found.key.service, found.key.prefix, scopes) if Scope.OPERATE in scopes else None


def end(database: Database, session: str) -> None:
    """Log out. Safe to repeat."""
    with database.write() as connection:
        stored.end(connection, hashed(session))
