"""Use case: a request may be sent again, and leads to one scan (`Idempotency-Key`, draft-ietf-httpapi-idempotency-key).

A key is reserved before the request is carried out, for as long as a lease; bound in the very transaction that accepts
it, so that a crash leaves either both or neither; and released where nothing came of it. It belongs to a service.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from worker import clock
from worker.errors import DatabaseUnavailable, LazarettoError
from worker.scan import Scan
from worker.store import idempotency, scans
from worker.store.database import Database
from worker.store.idempotency import Bound, Held

KEPT = timedelta(hours=24)  # after the request was accepted


class KeyInFlight(LazarettoError):
    """Another request with this Idempotency-Key is being carried out; trying again can help."""

    code = "idempotency_in_flight"
    retryable = True
    expected = "the same request again, once the other has ended"


class KeyReused(LazarettoError):
    """This Idempotency-Key was sent before, with another request."""

    code = "idempotency_key_reused"
    expected = "the same request as before, or another key"


class Reservation:
    """A request's right to its key: here, of a request without a key, of which nothing is kept."""

    is_bound = False  # has the request been accepted before?

    def replay(self, fields: Mapping[str, Any], sha256: str | None = None) -> Scan | None:
        """The scan of the same request, as it is now; None: there was none, so carry it out.

        `fields`: everything the client said, as parsed JSON. `sha256`: of the file, where the request holds one.
        Raises `KeyReused`, `DatabaseUnavailable`.
        """
        return None

    def bind(self, connection: Connection, scan_id: str, fields: Mapping[str, Any], sha256: str | None = None) -> None:
        """Have the key lead to this scan; in the transaction that accepts it. Raises `KeyInFlight`: we were too slow,
        and another request has the key now."""

    def renew(self, connection: Connection) -> None:
        """Hold the key for another lease. Raises `KeyInFlight`, as `bind` does."""

    def release(self) -> None:
        """Nothing came of the request: it may be sent again at once. What is bound stays so. While the database is
        away the lease runs out instead."""


UNRESERVED = Reservation()


class _InFlight(Reservation):
    """The key is ours; `route` is part of what it stands for."""

    def __init__(self, database: Database, held: Held, route: str, lease: timedelta) -> None:
        self._database, self._held, self._route, self._lease = database, held, route, lease

    def bind(self, connection: Connection, scan_id: str, fields: Mapping[str, Any], sha256: str | None = None) -> None:
        what = Bound(_fingerprint(self._route, fields, sha256), scan_id)
        if not idempotency.bind(connection, self._held, what, clock.now()):
            raise KeyInFlight

    def renew(self, connection: Connection) -> None:
        if not idempotency.renew(connection, self._held, clock.now() + self._lease):
            raise KeyInFlight

    def release(self) -> None:
        with suppress(DatabaseUnavailable), self._database.write() as connection:
            idempotency.release(connection, self._held)


class _Accepted(Reservation):
    """The key led to a scan before."""

    is_bound = True

    def __init__(self, database: Database, bound: Bound, route: str) -> None:
        self._database, self._bound, self._route = database, bound, route

    def replay(self, fields: Mapping[str, Any], sha256: str | None = None) -> Scan | None:
        if self._bound.fingerprint != _fingerprint(self._route, fields, sha256):
            raise KeyReused
        with self._database.read() as connection:
            return scans.get(connection, self._bound.scan_id)


def reserve(database: Database, service: str, key: str, route: str, lease: timedelta) -> Reservation:
    """Reserve a service's key for one request. `route`: method and path, as in the documentation.

    Raises `KeyInFlight`, `DatabaseUnavailable`.
    """
    now = clock.now()
    held = Held(service, key, secrets.token_hex(16))
    with database.write() as connection:
        if idempotency.reserve(connection, held, now, now + lease, now - KEPT):
            return _InFlight(database, held, route, lease)
        bound = idempotency.bound(connection, service, key)
    if bound is None:
        raise KeyInFlight
    return _Accepted(database, bound, route)


def _fingerprint(route: str, fields: Mapping[str, Any], sha256: str | None) -> str:
    """Never of the bytes as sent: a client that repeats a form draws another boundary."""
    request = json.dumps([route, fields, sha256], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(request.encode()).hexdigest()
