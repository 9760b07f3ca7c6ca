"""Who may ask for what: services, their keys and scopes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sqlalchemy.exc import IntegrityError

from worker import clock
from worker.errors import DatabaseUnavailable
from worker.store import services as stored
from worker.store.database import Database

BOOTSTRAP_SERVICE = "default"
_LONGEST_KEY = 512  # characters


class Scope(StrEnum):
    """What a key allows."""

    SUBMIT = "submit"
    READ = "read"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a valid key."""

    service: str
    key: str  # the key's public prefix
    scopes: frozenset[Scope]

    @property
    def actor(self) -> str:
        """The name under which events record this caller."""
        return f"service:{self.service} key:{self.key}"

    def sees(self, service: str) -> bool:
        """May this caller know of another service's scans?"""
        return service == self.service or Scope.OPERATE in self.scopes


def identify(
    database: Database, key: str, later: Callable[[Callable[[], None]], object] = lambda work: work()
) -> Caller | None:
    """The caller behind a key; None for an unknown, expired or revoked one, which has no effect from that moment on.

    The look-up is by SHA-256: an attacker who measures time learns about a hash that they cannot steer, and the
    beginning of a hash leads to nobody. `later` is given what no request has to wait for.
    """
    if len(key) > _LONGEST_KEY:
        return None
    key_hash, now = hashed(key), clock.now()
    with database.read() as connection:
        found = stored.key(connection, key_hash)
    if found is None or not found.valid_at(now):
        return None
    if not stored.is_use_known(found, now):
        later(partial(_record_use, database, key_hash))
    return Caller(found.service, found.prefix, frozenset(Scope(scope) for scope in found.scopes))


def ensure_bootstrap_key(database: Database, key: str) -> None:
    """A key with every scope and this exact value exists afterwards; safe to repeat, also at once."""
    try:
        with database.write() as connection:
            if stored.key(connection, hashed(key)) is None:
                stored.add(connection, BOOTSTRAP_SERVICE)
                stored.add_key(
                    connection,
                    key_hash=hashed(key),
                    prefix=f"bootstrap_{secrets.token_hex(3)}",  # or nobody could revoke an earlier one alone
                    service=BOOTSTRAP_SERVICE,
                    scopes=[scope.value for scope in Scope],
                )
    except IntegrityError:
        return  # another process was faster


def _record_use(database: Database, key_hash: str) -> None:
    with suppress(DatabaseUnavailable), database.write() as connection:  # the next request says so again
        stored.record_use(connection, key_hash, clock.now())


def hashed(key: str) -> str:
    """A key as it is kept. Keys are random and long: no salt, and no slow hash, would make them harder to guess."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()  # whatever a form holds
