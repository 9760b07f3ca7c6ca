"""Each decision that ends has one webhook on record, in the transaction that ends it; and what signs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from api.webhooks import WebhookView
from tests.calendar import Calendar
from tests.outcomes import REFUSED, Outcomes
from worker import clock, signing
from worker.errors import NoSuchService
from worker.scan import TRANSITIONS, Cause, Status
from worker.store import outbox, scans, services, webhook_secrets
from worker.sweep_webhooks import WebhookSweeper
from worker.views import ScanView


@pytest.fixture
def outcomes(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Outcomes]:
    """Of a service with a webhook, and of `silent`, which has none."""
    with Outcomes.of(tmp_path, database_url, redis_url, {"alpha": "http://127.0.0.1:1/"}) as made:
        with made.database.write() as connection:
            services.add(connection, "silent")
        yield made


def test_every_end_of_a_decision_is_told_once_and_nothing_else(outcomes: Outcomes) -> None:
    expected = []
    for source, target, mover, _ in TRANSITIONS:
        scan = outcomes.begun("alpha", source)
        with outcomes.database.write() as connection:
            assert scans.move(connection, scan.id, source, target, Cause(mover, "because"))
            assert scans.move(connection, scan.id, source, target, Cause(mover, "because")) is None
        if target.ended:
            expected.append((scan.id, f"scan.{target}", 2 if source.ended else 1))
    told = [(each["scan_id"], each["type"], each["decision"]) for each in outcomes.deliveries()]
    assert sorted(told) == sorted(expected)
    assert {type_ for _, type_, _ in told} == {f"scan.{status}" for status in Status if status.ended}


def test_what_is_told_is_the_scan_as_everybody_sees_it(outcomes: Outcomes) -> None:
    scan = outcomes.outcome("alpha")
    [delivery] = outcomes.deliveries()
    shown = outcomes.webhooks.show(delivery["id"])
    body = json.loads(shown["payload"])
    view = ScanView.of(scan).model_dump(mode="json")
    assert body == {
        "type": "scan.rejected",
        "timestamp": scan.updated_at.isoformat().replace("+00:00", "Z"),
        "data": view,
    }
    assert WebhookView.model_validate(body).model_dump(mode="json") == body, "as the documentation has it"
    assert delivery["id"].startswith("msg_")
    assert delivery["status"] == "pending"


def test_a_service_without_a_secret_is_told_nothing(outcomes: Outcomes) -> None:
    outcomes.outcome("silent")
    assert outcomes.deliveries() == []


def test_what_is_taken_back_is_not_told(outcomes: Outcomes) -> None:
    scan = outcomes.begun("alpha")

    def half() -> None:
        with outcomes.database.write() as connection:
            scans.move(connection, scan.id, Status.RECEIVING, Status.REJECTED, REFUSED)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert outcomes.deliveries() == []


def test_naming_a_url_is_enough_also_for_many_processes_at_once(outcomes: Outcomes) -> None:
    names = [f"new-{number}" for number in range(4)]
    with outcomes.database.write() as connection:
        for name in names:
            services.add(connection, name)
    policies = outcomes.other_policies(dict.fromkeys([*names, "unknown"], "http://127.0.0.1:1/"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: signing.ensure_all(outcomes.database, policies), range(8)))
    with outcomes.database.read() as connection:
        for name in names:
            [secret] = webhook_secrets.valid(connection, name)
            assert secret.startswith("whsec_")
        assert webhook_secrets.without(connection) == ["silent"]


def test_secrets_are_exchanged_with_both_valid_for_a_while(outcomes: Outcomes, calendar: Calendar) -> None:
    first = outcomes.secret("alpha")
    assert outcomes.secret("alpha") == first
    second = signing.rotate(outcomes.database, "alpha", timedelta(hours=1))
    assert outcomes.secret("alpha") == second
    calendar.pass_time(3599)
    assert outcomes.valid("alpha") == [second, first]
    calendar.pass_time(2)
    assert outcomes.valid("alpha") == [second]
    third = signing.rotate(outcomes.database, "alpha", timedelta())
    assert outcomes.valid("alpha") == [third]
    assert len({first, second, third}) == 3


def test_a_service_that_is_unknown_has_no_secret(outcomes: Outcomes) -> None:
    with pytest.raises(NoSuchService, match="'nobody'"):
        signing.ensure(outcomes.database, "nobody")
    with pytest.raises(NoSuchService, match="'nobody'"):
        signing.rotate(outcomes.database, "nobody", timedelta())


def test_a_signature_for_each_secret() -> None:
    moment, pair = clock.now(), ["whsec_" + "A" * 32, "whsec_" + "B" * 32]
    header = signing.signature(pair, "msg_1", moment, "{}")
    sent = {"webhook-id": "msg_1", "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": header}
    for secret in pair:
        assert Webhook(secret).verify("{}", sent) == {}


def test_of_many_claims_each_delivery_goes_to_one(outcomes: Outcomes) -> None:
    for _ in range(6):
        outcomes.outcome("alpha")
    until = clock.now() + timedelta(seconds=30)

    def claim(_: int) -> str | None:
        with outcomes.database.write() as connection:
            delivery = outbox.claim(connection, "alpha", until, at_once=100)
        return delivery.id if delivery else None

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(claim, range(24)))
    got = [each for each in claimed if each]
    assert len(got) == len(set(got))
    assert set(got) <= {each["id"] for each in outcomes.deliveries()}


def test_what_was_told_long_ago_is_forgotten(outcomes: Outcomes, calendar: Calendar) -> None:
    for _ in range(3):
        outcomes.outcome("alpha")
    sweeper = WebhookSweeper(outcomes.database, outcomes.queue, outcomes.policies, outcomes.settings)
    with outcomes.database.write() as connection:
        delivery = outbox.claim(connection, "alpha", clock.now(), at_once=1)
        assert delivery
        outbox.log(connection, delivery, clock.now(), url="http://x/", seconds=0.1, status_code=204, error=None)
        assert outbox.end(connection, delivery, outbox.DeliveryStatus.DELIVERED)
    calendar.pass_time(29 * 86400)
    assert sweeper.forget() == 0
    calendar.pass_time(2 * 86400)
    assert sweeper.forget() == 1
    assert sweeper.forget() == 0
    assert {each["status"] for each in outcomes.deliveries()} == {"pending"}
    assert outcomes.log(delivery.id) == []
