"""Use case: services and their API keys. A key is shown once, kept as a hash, and known by its public prefix."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from worker import clock
from worker.errors import LazarettoError, NoSuchService
from worker.policy_file import SERVICE_NAME
from worker.services import Scope, hashed
from worker.store import services as stored
from worker.store.database import Database

_NAME = re.compile(SERVICE_NAME)
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that is taken for something else when read aloud
_PREFIX_CHARACTERS = 8
_SECRET_BYTES = 32
_LONGEST_LIFE = 100 * 365 * 86400  # seconds; databases end in the year 9999


class BadName(LazarettoError):
    """This is no name for a service."""

    code = "bad_name"
    expected = "1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit"


class BadLifetime(LazarettoError):
    """A key cannot be valid for so long."""

    code = "bad_lifetime"
    expected = "at most 100 years, or no limit at all"


class NoSuchKey(LazarettoError):
    """There is no such key, or it is revoked or expired already."""

    code = "key_not_found"
    expected = "the prefix of a key that `lazaretto keys list` shows as valid"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key, the only time that it can be seen."""

    key: str
    prefix: str
    service: str
    scopes: list[str]
    expires_at: datetime | None


def add_service(database: Database, name: str) -> bool:
    """Put a service on record. False: it was there already. Raises `BadName`."""
    if not _NAME.fullmatch(name):
        raise BadName(f"{name!r} is no name for a service")
    with database.write() as connection:
        return stored.add(connection, name)


def create(database: Database, service: str, scopes: Collection[Scope], lifetime: int | None) -> NewKey:
    """Make a key that is valid for `lifetime` seconds; None: until it is revoked. Raises `NoSuchService`
    and `BadLifetime`."""
    _check_lifetime(lifetime or 0)
    with database.write() as connection:
        if not stored.exists(connection, service):
            raise NoSuchService(f"there is no service {service!r}")
        return _add_key(connection, service, [scope.value for scope in Scope if scope in scopes], lifetime)


def rotate(database: Database, prefix: str, grace: int) -> NewKey:
    """Make a key like this one, which itself ends after `grace` seconds. Raises `NoSuchKey` and `BadLifetime`."""
    _check_lifetime(grace)
    with database.write() as connection:
        old = _valid(connection, prefix)
        until = clock.now() + timedelta(seconds=grace)
        stored.expire_key(connection, prefix, min(until, old.expires_at or until))
        return _add_key(connection, old.service, list(old.scopes), old.lifetime)


def revoke(database: Database, prefix: str) -> None:
    """End a key at once. Raises `NoSuchKey`."""
    with database.write() as connection:
        _valid(connection, prefix)
        stored.revoke_key(connection, prefix)


def _check_lifetime(seconds: int) -> None:
    if seconds > _LONGEST_LIFE:
        raise BadLifetime(f"a key cannot be valid for {seconds // 86400} days")


def _valid(connection: Connection, prefix: str) -> stored.KeyRecord:
    for key in stored.keys_called(connection, prefix):
        if key.valid_at(clock.now()):
            return key
    raise NoSuchKey(f"there is no valid key {prefix!r}")


def _add_key(connection: Connection, service: str, scopes: list[str], lifetime: int | None) -> NewKey:
    prefix = "lz_" + "".join(secrets.choice(_ALPHABET) for _ in range(_PREFIX_CHARACTERS))
    key = f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    expires_at = stored.add_key(
        connection, key_hash=hashed(key), prefix=prefix, service=service, scopes=scopes, lifetime=lifetime
    )
    return NewKey(key, prefix, service, scopes, expires_at)
