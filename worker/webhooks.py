"""Use cases of whoever looks after webhooks: what was delivered, deliver it again, try whether webhooks arrive."""

from __future__ import annotations

import time
from typing import Any

from worker import signing
from worker.errors import LazarettoError, NoSuchService
from worker.hints import Hints
from worker.policies import Policies
from worker.settings import Settings
from worker.store import delivery_log, endpoints, outbox, services
from worker.store.database import Database
from worker.store.delivery_log import Record, Wanted

_PATIENCE = 15.0  # seconds beyond the longest delivery, for the notifier to take it up
_LOOK_SECONDS = 0.1


class UnknownDelivery(LazarettoError):
    """There is no such delivery."""

    code = "delivery_unknown"
    expected = "an id that `lazaretto webhooks list` shows"


class NoReceiver(LazarettoError):
    """Nobody receives webhooks of this service."""

    code = "webhook_url_missing"
    expected = "a `webhook_url` in the service's policy"


class NotTakenUp(LazarettoError):
    """No notifier has taken the webhook up in time; it stays due, and is delivered when one runs."""

    code = "notifier_missing"
    retryable = True
    expected = "a running notifier: `celery -A worker.notifier worker --queues webhooks --pool threads`"


class Webhooks:
    """Works on the database, and hints to the notifier."""

    def __init__(self, database: Database, hints: Hints, policies: Policies, settings: Settings) -> None:
        self._database, self._hints, self._policies = database, hints, policies
        self._patience = settings.webhook_timeout + _PATIENCE

    def page(self, wanted: Wanted, limit: int) -> list[Record]:
        """Up to `limit` deliveries, newest first."""
        with self._database.read() as connection:
            return delivery_log.page(connection, wanted, limit)

    def show(self, delivery_id: str) -> dict[str, Any]:
        """One delivery, with `payload` and all `log`. Raises `UnknownDelivery`."""
        with self._database.read() as connection:
            found = delivery_log.page(connection, Wanted(id=delivery_id), 1)
            if not found:
                raise UnknownDelivery(f"There is no delivery {delivery_id!r}.")
            log, payload = delivery_log.attempts(connection, delivery_id), delivery_log.payload(connection, delivery_id)
        return found[0] | {"log": log, "payload": payload}

    def redeliver(self, wanted: Wanted) -> int:
        """Make deliveries again, under the same ids, their receivers' failures being forgotten; how many."""
        with self._database.write() as connection:
            owners = delivery_log.owners(connection, wanted)
            for service in owners:  # before the deliveries, as whoever claims one: or two would wait for each other
                endpoints.reopen(connection, service)
            number = delivery_log.make_due(connection, wanted)
        for service in owners:
            self._hints.give(service)
        return number

    def test(self, service: str) -> dict[str, Any]:
        """Deliver an event that says nothing, ahead of all others, once; the delivery as it ended.

        Raises `NoSuchService`, `NoReceiver` and `NotTakenUp`.
        """
        with self._database.read() as connection:
            if not services.exists(connection, service):
                raise NoSuchService(f"there is no service {service!r}")
        if self._policies.of(service).webhook_url is None:
            raise NoReceiver(f"The policy of {service} names no webhook_url.")
        signing.ensure(self._database, service)
        with self._database.write() as connection:
            delivery_id = outbox.add_test(connection, service)
            endpoints.reopen(connection, service)
        self._hints.give(service)
        give_up_at = time.monotonic() + self._patience
        while (delivery := self.show(delivery_id))["finished_at"] is None:
            if time.monotonic() > give_up_at:
                raise NotTakenUp
            time.sleep(_LOOK_SECONDS)
        return delivery
