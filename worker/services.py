"""Who may ask for what: services, their keys and scopes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.exc import IntegrityError

from worker import clock
from worker.store import services as stored
from worker.store.database import Database

BOOTSTRAP_SERVICE = "default"


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


def identify(database: Database, key: str) -> Caller | None:
    """The caller behind a key; None for an unknown, expired or revoked one.

    The look-up is by SHA-256: an attacker who measures time learns about a hash that they cannot steer.
    """
    with database.read() as connection:
        row = stored.key(connection, _hash(key))
    if row is None or row.revoked_at or (row.expires_at and row.expires_at <= clock.now()):
        return None
    return Caller(row.service, row.prefix, frozenset(Scope(scope) for scope in row.scopes))


def ensure_bootstrap_key(database: Database, key: str) -> None:
    """A key with every scope and this exact value exists afterwards; safe to repeat, also at once."""
    try:
        with database.write() as connection:
            if stored.key(connection, _hash(key)) is None:
                stored.add(connection, BOOTSTRAP_SERVICE)
                stored.add_key(
                    connection,
                    key_hash=_hash(key),
                    prefix="bootstrap",
                    service=BOOTSTRAP_SERVICE,
                    scopes=[scope.value for scope in Scope],
                    expires_at=None,
                )
    except IntegrityError:
        return  # another process was faster


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
