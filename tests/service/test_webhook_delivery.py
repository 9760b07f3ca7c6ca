"""Deliveries: signed, repeated under one id, given up in the end; and no receiver is a burden to another's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests import receiver as answers
from tests.calendar import Calendar
from tests.outcomes import Outcomes
from tests.receiver import Receiver
from tests.stack import until
from worker import clock, signing
from worker.adapters.task_queue import TaskQueue
from worker.hints import Hints
from worker.store import endpoints, outbox

DAY = 86400.0
FAILURES = 5  # the setting


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.running() as running:
        yield running


@pytest.fixture
def outcomes(tmp_path: Path, database_url: str, redis_url: str, receiver: Receiver) -> Iterator[Outcomes]:
    """Of a service whose receiver is under the test's control."""
    with Outcomes.of(tmp_path, database_url, redis_url, {"alpha": receiver.url}, webhook_timeout=1) as made:
        yield made


def _later(outcomes: Outcomes, calendar: Calendar, seconds: float) -> None:
    """Look again after so long."""
    calendar.pass_time(seconds)
    outcomes.deliverer().run("alpha")


def test_an_outcome_arrives_signed_and_once(outcomes: Outcomes, receiver: Receiver) -> None:
    scan = outcomes.outcome("alpha")
    for _ in range(2):
        outcomes.deliverer().run("alpha")
    [received] = receiver.received
    event = received.verified(outcomes.secret("alpha"))
    assert (event["type"], event["data"]["id"]) == ("scan.rejected", scan.id)
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"].startswith("Lazaretto/")
    assert received.headers["x-request-id"] == "request-1"
    [delivery] = outcomes.deliveries()
    assert (delivery["id"], delivery["status"], delivery["attempts"]) == (received.id, "delivered", 1)
    assert (delivery["due_at"], delivery["last_attempt"]["error"]) == (None, None)
    assert delivery["last_attempt"]["status_code"] == 204


def test_old_and_new_secret_both_verify_while_they_are_exchanged(outcomes: Outcomes, receiver: Receiver) -> None:
    first = outcomes.secret("alpha")
    outcomes.outcome("alpha")
    second = signing.rotate(outcomes.database, "alpha", timedelta(hours=1))
    outcomes.deliverer().run("alpha")
    assert receiver.unverified(first) == receiver.unverified(second) == []
    assert len(receiver.received) == 1


def test_a_failure_is_repeated_under_the_same_id_later_and_later(
    outcomes: Outcomes, receiver: Receiver, calendar: Calendar
) -> None:
    receiver.answer = answers.say(500)
    outcomes.outcome("alpha")
    pauses: list[float] = []
    for attempt in range(1, 6):
        _later(outcomes, calendar, 0 if attempt == 1 else pauses[-1] + 0.1)
        assert len(receiver.received) == attempt
        [delivery] = outcomes.deliveries()
        pauses.append((delivery["due_at"] - clock.now()).total_seconds())
        outcomes.deliverer().run("alpha")
        assert len(receiver.received) == attempt, "it is not due yet"
    for number, pause in enumerate(pauses):
        assert 2.4 * 2**number < pause <= 5 * 2**number
    receiver.answer = answers.say(200)
    _later(outcomes, calendar, pauses[-1] + 0.1)
    assert len(receiver.ids()) == 1
    assert len({each.headers["webhook-timestamp"] for each in receiver.received}) > 1, "each attempt has its own moment"
    assert [each["error"] for each in outcomes.log(delivery["id"])] == ["answered 500"] * 5 + [None]
    assert outcomes.endpoint("alpha").failures == 0


def test_a_delivery_is_given_up_a_day_after_its_first_attempt(
    outcomes: Outcomes, receiver: Receiver, calendar: Calendar
) -> None:
    calendar.pass_time(5)
    outcomes.outcome("alpha")
    calendar.pass_time(3 * DAY)  # no notifier ran: that is no fault of the receiver's
    receiver.answer = answers.say(500)
    outcomes.deliverer().run("alpha")
    _later(outcomes, calendar, DAY - 60)
    assert [each["status"] for each in outcomes.deliveries()] == ["pending"]
    _later(outcomes, calendar, 3700)
    [delivery] = outcomes.deliveries()
    assert (delivery["status"], delivery["attempts"], delivery["due_at"]) == ("given_up", 3, None)


def test_what_was_never_tried_is_given_up_with_a_receiver_that_has_failed_for_a_day(
    outcomes: Outcomes, receiver: Receiver, calendar: Calendar
) -> None:
    receiver.answer = answers.say(500)
    outcomes.outcome("alpha")
    with outcomes.database.write() as connection:
        for _ in range(FAILURES):
            endpoints.failed(connection, "alpha", endpoints.locked(connection, "alpha"), None)
    outcomes.deliverer().run("alpha")
    for _ in range(5):
        outcomes.outcome("alpha")
    calendar.pass_time(DAY + 60)
    fresh = outcomes.outcome("alpha")
    outcomes.deliverer().run("alpha")
    assert len(receiver.received) == 2
    left = {each["scan_id"]: each["attempts"] for each in outcomes.deliveries(status="pending")}
    assert left.pop(fresh.id) == 0
    assert list(left.values()) == [1], "who has just been the first to try again"
    assert len(outcomes.deliveries(status="given_up")) == 5


def test_a_receiver_that_is_gone_is_sent_nothing_more_until_somebody_says_so(
    outcomes: Outcomes, receiver: Receiver, calendar: Calendar
) -> None:
    receiver.answer = answers.say(410)
    for _ in range(3):
        outcomes.outcome("alpha")
    outcomes.deliverer().run("alpha")
    _later(outcomes, calendar, DAY / 2)
    assert len(receiver.received) == 1
    assert sorted(each["status"] for each in outcomes.deliveries()) == ["given_up", "pending", "pending"]
    receiver.answer = answers.say(200)
    assert outcomes.webhooks.redeliver(outcomes.wanted(service="alpha")) == 3
    outcomes.deliverer().run("alpha")
    assert {each["status"] for each in outcomes.deliveries()} == {"delivered"}
    assert len(receiver.ids()) == 3


def test_a_receiver_that_asks_for_time_gets_it_within_bounds(
    outcomes: Outcomes, receiver: Receiver, calendar: Calendar
) -> None:
    for _ in range(2):
        outcomes.outcome("alpha")
    receiver.answer = answers.say(429, Retry_After="120")
    outcomes.deliverer().run("alpha")
    _later(outcomes, calendar, 110)
    assert len(receiver.received) == 1, "neither this delivery nor another"
    receiver.answer = answers.say(503, Retry_After="99999999")
    _later(outcomes, calendar, 15)
    assert len(receiver.received) == 2
    receiver.answer = answers.say(200)
    _later(outcomes, calendar, outcomes.settings.webhook_retry_cap + 1)
    assert outcomes.pending() == 0


def test_a_dead_receiver_is_left_in_peace_and_then_tried_by_one(
    outcomes: Outcomes, receiver: Receiver, calendar: Calendar
) -> None:
    """What is not tried loses nothing: no attempt, and no time."""
    receiver.answer = answers.say(500)
    for _ in range(20):
        outcomes.outcome("alpha")
    outcomes.deliverer().run("alpha")
    assert len(receiver.received) == FAILURES
    assert [each["attempts"] for each in outcomes.deliveries()].count(0) == 20 - FAILURES
    for probe in range(1, 4):
        _later(outcomes, calendar, outcomes.settings.webhook_peace_cap + 1)
        assert len(receiver.received) == FAILURES + probe
    receiver.answer = answers.say(200)
    _later(outcomes, calendar, outcomes.settings.webhook_peace_cap + 1)
    assert outcomes.pending() == 0
    assert len(receiver.ids()) == 20


def test_a_receiver_that_hangs_is_asked_by_one_at_a_time_and_a_good_one_by_few(
    outcomes: Outcomes, receiver: Receiver
) -> None:
    def slow(handler: answers.Handler, received: answers.Received) -> None:
        time.sleep(0.1)
        answers.say(200)(handler, received)

    receiver.answer = slow
    for _ in range(16):
        outcomes.outcome("alpha")
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(outcomes.deliverer().run, ["alpha"] * 10))
    assert receiver.most_at_once == 4
    assert len(receiver.ids()) == len(receiver.received) == 16
    with outcomes.database.write() as connection:
        endpoints.failed(connection, "alpha", endpoints.locked(connection, "alpha"), None)
    receiver.most_at_once, receiver.answer = 0, answers.hang
    for _ in range(2):
        outcomes.outcome("alpha")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(outcomes.deliverer().run, ["alpha"] * 4))
    assert receiver.most_at_once == 1


def test_what_a_dead_notifier_left_is_due_again_after_its_lease(outcomes: Outcomes, calendar: Calendar) -> None:
    outcomes.outcome("alpha")
    with outcomes.database.write() as connection:
        lost = outbox.claim(connection, "alpha", clock.now() + timedelta(seconds=30), at_once=4)
    assert lost
    outcomes.deliverer().run("alpha")
    assert outcomes.pending() == 1
    assert outcomes.sweep() == 0
    calendar.pass_time(31)
    assert outcomes.sweep() == 1
    outcomes.deliverer().run("alpha")
    assert outcomes.pending() == 0
    with outcomes.database.write() as connection:
        assert not outbox.end(connection, lost, outbox.DeliveryStatus.GIVEN_UP), "it is somebody else's by now"
    assert outcomes.deliveries()[0]["status"] == "delivered"


def test_a_policy_that_names_no_url_any_more_lets_webhooks_wait(
    outcomes: Outcomes, receiver: Receiver, calendar: Calendar
) -> None:
    outcomes.outcome("alpha")
    named = outcomes.policies
    outcomes.policies = outcomes.other_policies({})
    assert outcomes.sweep() == 1
    outcomes.deliverer().run("alpha")
    assert outcomes.sweep() == 0, "not every five seconds"
    calendar.pass_time(61)
    outcomes.policies = named
    assert outcomes.sweep() == 1
    outcomes.deliverer().run("alpha")
    assert len(receiver.received) == 1
    outcomes.outcome("alpha")
    outcomes.policies = outcomes.other_policies({})
    _later(outcomes, calendar, DAY + 61)
    assert outcomes.deliveries()[-1]["status"] == "given_up"


def test_a_thousand_outcomes_at_once_are_one_hint(outcomes: Outcomes) -> None:
    for _ in range(50):
        outcomes.outcome("alpha", hint=True)
    assert outcomes.queue._ask("llen", "webhooks") == 1
    outcomes.queue.heed("alpha")
    outcomes.hints.ended("alpha", "a scan")
    outcomes.hints.ended("nobody with a webhook", "a scan")
    assert outcomes.queue._ask("llen", "webhooks") == 2


def test_hints_that_nobody_takes_up_do_not_fill_redis(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead notifier: the sweeper hints for days, and each hint stands for ten seconds. Redis holds scans, too."""
    monkeypatch.setattr("worker.adapters.task_queue._MOST_HINTS", 10)
    outcomes.outcome("alpha")
    for _ in range(15):
        assert outcomes.sweep() == 1
        outcomes.queue.heed("alpha")  # as if its ten seconds were over
    assert outcomes.queue._ask("llen", "webhooks") == 10


def test_a_redis_that_is_away_is_nobodys_fault(outcomes: Outcomes, receiver: Receiver) -> None:
    settings = outcomes.settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    with closing(TaskQueue(settings)) as away:
        Hints(away, outcomes.policies).ended("alpha", "a scan")
    outcomes.outcome("alpha")
    assert outcomes.sweep() == 1
    outcomes.deliverer().run("alpha")
    assert len(receiver.received) == 1


def test_a_turn_ends_and_another_is_asked_for(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.deliver._TURN_SECONDS", -1)
    outcomes.outcome("alpha")
    outcomes.deliverer().run("alpha")
    assert outcomes.pending() == 1
    assert outcomes.queue._ask("llen", "webhooks") == 1


def test_a_notifier_that_stops_begins_no_other(outcomes: Outcomes, receiver: Receiver) -> None:
    for _ in range(3):
        outcomes.outcome("alpha")
    deliverer = outcomes.deliverer()

    def stopping(handler: answers.Handler, received: answers.Received) -> None:
        deliverer.stop()
        answers.say(200)(handler, received)

    receiver.answer = stopping
    deliverer.run("alpha")
    assert outcomes.pending() == 2
    until(lambda: len(receiver.received) == 1, 1, "the one that was begun")
