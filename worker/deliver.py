"""Use case: make a service's deliveries, one after the other, and put on record what became of each.

A task is only a hint that there may be some. What is due, and for how long a receiver is left in peace, are columns;
whoever claims a delivery has it for one lease, and what a dead notifier left is due again when that is over. So a
webhook arrives at least once, always under one id.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version

import structlog
from sqlalchemy import Connection

from worker import clock, metrics, telemetry
from worker.adapters.receiver import Answer, Receivers
from worker.hints import Hints
from worker.instruments import Delivered
from worker.policies import Policies
from worker.retries import doubling
from worker.settings import Settings
from worker.signing import signature
from worker.store import endpoints, outbox, webhook_secrets
from worker.store.database import Database, after_commit
from worker.store.endpoints import Endpoint
from worker.store.outbox import Delivery, DeliveryStatus
from worker.telemetry import Log

_AGENT = f"Lazaretto/{version('lazaretto')}"
_AT_ONCE = 4  # deliveries to one receiver; one alone to a receiver that has just failed
_TURN_SECONDS = 20.0  # then the next service has its turn
_LEASE_SPARE = 20.0  # seconds beyond the longest delivery, to put it on record
_WITHOUT_URL = timedelta(minutes=1)  # how soon a policy that names no URL is looked at again


class Deliverer:
    """Safe to use from several threads."""

    def __init__(
        self, database: Database, receivers: Receivers, hints: Hints, policies: Policies, settings: Settings
    ) -> None:
        self._database, self._receivers, self._hints = database, receivers, hints
        self._policies, self._settings = policies, settings
        self._lease = timedelta(seconds=settings.webhook_timeout + _LEASE_SPARE)
        self._patience = timedelta(hours=settings.webhook_give_up_hours)
        self._stopping = False

    def run(self, service: str) -> None:
        """Deliver what is due, for as long as one turn may take. Raises `DatabaseUnavailable`: then what was claimed
        is due again when its lease is over."""
        over_at = time.monotonic() + _TURN_SECONDS
        while not self._stopping:
            url = self._policies.of(service).webhook_url
            if url is None:
                return self._wait_for_url(service)
            if time.monotonic() > over_at:
                return self._hints.give(service)
            delivery = self._claim(service)
            if delivery is None:
                return None
            self._make(delivery, str(url))
        return None

    def stop(self) -> None:
        """Begin no other delivery. Takes no lock: safe in a signal handler."""
        self._stopping = True

    def _claim(self, service: str) -> Delivery | None:
        with self._database.write() as connection:
            endpoint = endpoints.locked(connection, service)
            if endpoint.in_peace:
                return None
            at_once = 1 if endpoint.failures else _AT_ONCE
            return outbox.claim(connection, service, clock.now() + self._lease, at_once=at_once)

    def _make(self, delivery: Delivery, url: str) -> None:
        with structlog.contextvars.bound_contextvars(
            service=delivery.service, delivery=delivery.id, scan_id=delivery.scan_id, request_id=delivery.request_id
        ):
            moment = clock.now()
            answer = self._receivers.deliver(url, self._headers(delivery, moment), delivery.payload.encode())
            with self._database.write() as connection:
                endpoint = endpoints.locked(connection, delivery.service)  # first, as whoever claims does
                outcome = {"status_code": answer.status_code, "error": answer.error}
                outbox.log(connection, delivery, moment, url=url, seconds=answer.seconds, **outcome)
                if answer.error is None:
                    outbox.end(connection, delivery, DeliveryStatus.DELIVERED)
                    endpoints.reopen(connection, delivery.service)
                    telemetry.say(Log.WEBHOOK_DELIVERED, seconds=answer.seconds)
                else:
                    self._set_back(connection, delivery, answer, endpoint)
            metrics.delivered(Delivered.FAILED if answer.error else Delivered.DELIVERED)

    def _headers(self, delivery: Delivery, moment: datetime) -> dict[str, str]:
        """As Standard Webhooks has them; the moment is the attempt's, against replays."""
        with self._database.read() as connection:
            valid = webhook_secrets.valid(connection, delivery.service)
        traced = {"x-request-id": delivery.request_id} if delivery.request_id else {}
        return traced | {
            "content-type": "application/json",
            "user-agent": _AGENT,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signature(valid, delivery.id, moment, delivery.payload),
        }

    def _set_back(self, connection: Connection, delivery: Delivery, answer: Answer, endpoint: Endpoint) -> None:
        """Later, or never; and the receiver may be left in peace for a while."""
        self._learn(connection, delivery.service, answer, endpoint)
        now = clock.now()
        if answer.gone or delivery.type == outbox.TEST or now >= delivery.tried_since + self._patience:
            if outbox.end(connection, delivery, DeliveryStatus.GIVEN_UP):
                after_commit(connection, partial(metrics.delivered, Delivered.GIVEN_UP))
                told = telemetry.warn if delivery.type == outbox.TEST else telemetry.alarm
                told(Log.WEBHOOK_GIVEN_UP, error=answer.error, attempts=delivery.attempts + 1)
            return
        base, cap = self._settings.webhook_retry_base, self._settings.webhook_retry_cap
        pause = doubling(base, cap, delivery.attempts, random.random())  # noqa: S311 - only jitter
        pause = max(pause, min(answer.retry_after or 0, cap))
        outbox.postpone(connection, delivery, now + timedelta(seconds=pause))
        telemetry.warn(Log.WEBHOOK_FAILED, error=answer.error, attempts=delivery.attempts + 1, seconds=pause)

    def _learn(self, connection: Connection, service: str, answer: Answer, before: Endpoint) -> None:
        """What a failure says about the receiver; what has waited too long for one that answers nobody is ended."""
        now = clock.now()
        peace = self._peace(before, answer)
        after = endpoints.failed(connection, service, before, now + peace if peace else None)
        if peace:
            why = {"error": answer.error, "failures": after.failures, "seconds": peace.total_seconds()}
            telemetry.warn(Log.RECEIVER_LEFT_IN_PEACE, **why)
        if after.failing_since and now >= after.failing_since + self._patience:
            self._give_up_untried(connection, service, "its receiver has failed for too long")

    def _peace(self, before: Endpoint, answer: Answer) -> timedelta | None:
        """How long nobody tries: as long as it asks for, or longer and longer; then one tries."""
        settings, cap = self._settings, self._settings.webhook_peace_cap
        if answer.gone:
            return self._patience
        extra = before.failures + 1 - settings.webhook_failures
        if extra >= 0:
            seconds = doubling(settings.webhook_retry_base, cap, extra, random.random())  # noqa: S311 - only jitter
            return timedelta(seconds=max(seconds, min(answer.retry_after or 0, cap)))
        return timedelta(seconds=min(answer.retry_after, cap)) if answer.retry_after else None

    def _wait_for_url(self, service: str) -> None:
        """The policy has stopped naming one, but may name one again."""
        with self._database.write() as connection:
            endpoints.close(connection, service, clock.now() + _WITHOUT_URL)
            self._give_up_untried(connection, service, "the policy names no webhook_url")

    def _give_up_untried(self, connection: Connection, service: str, why: str) -> None:
        if number := outbox.give_up_untried(connection, service, clock.now() - self._patience):
            after_commit(connection, partial(metrics.delivered, Delivered.GIVEN_UP, number))
            telemetry.alarm(Log.WEBHOOK_GIVEN_UP, service=service, untried=number, error=why)
