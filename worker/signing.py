"""Who a webhook comes from: signatures as Standard Webhooks has them, and the secrets behind them.

A service that has a secret is told of every outcome, so a secret is what makes the outbox (`worker.store.outbox`).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from standardwebhooks import Webhook

from worker import clock
from worker.errors import NoSuchService
from worker.policies import Policies
from worker.store import webhook_secrets as stored
from worker.store.database import Database

_PREFIX, _BYTES = "whsec_", 32  # the specification asks for 24 to 64


def ensure_all(database: Database, policies: Policies) -> None:
    """Every service on record whose policy names a webhook URL has a secret afterwards. Cheap, safe to repeat, and at
    once: every process that has loaded a policy calls it, so that naming the URL is enough."""
    with database.read() as connection:
        without = stored.without(connection)
    for service in without:
        if policies.of(service).webhook_url:
            ensure(database, service)


def ensure(database: Database, service: str) -> str:
    """The present secret of a service, made if there was none. Raises `NoSuchService`."""
    with database.write() as connection:
        if not stored.lock(connection, service):
            raise NoSuchService(f"there is no service {service!r}.")
        if present := stored.present(connection, service):
            return present
        made = _made()
        stored.add(connection, service, made)
        return made


def rotate(database: Database, service: str, grace: timedelta) -> str:
    """A new secret; the one before stays valid beside it for `grace`. Raises `NoSuchService`."""
    made = _made()
    with database.write() as connection:
        if not stored.lock(connection, service):
            raise NoSuchService(f"there is no service {service!r}.")
        stored.retire(connection, service, clock.now() + grace)
        stored.add(connection, service, made)
    return made


def signature(valid: Iterable[str], message_id: str, moment: datetime, payload: str) -> str:
    """The header `webhook-signature`: one for each secret that is valid, with spaces in between."""
    return " ".join(Webhook(secret).sign(message_id, moment, payload) for secret in valid)


def _made() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
