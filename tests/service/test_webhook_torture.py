"""Webhooks arrive, whatever becomes of their receivers and of the notifier. `make torture` is the long form."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import processes
from tests import receiver as answers
from tests.outcomes import Outcomes
from tests.receiver import Receiver
from tests.stack import until

PACE: Mapping[str, Any] = {
    "webhook_timeout": 2.0,
    "webhook_retry_base": 0.2,
    "webhook_retry_cap": 1.0,
    "webhook_peace_cap": 1.0,
}
_START_SECONDS = 40


@contextmanager
def _outcomes(
    folder: Path, database_url: str, redis_url: str, *names: str
) -> Iterator[tuple[Outcomes, list[Receiver]]]:
    """Of services, each with its receiver, which does not listen yet."""
    with ExitStack() as stack:
        receivers = [Receiver() for _ in names]
        urls = {name: receiver.url for name, receiver in zip(names, receivers, strict=True)}
        yield stack.enter_context(Outcomes.of(folder, database_url, redis_url, urls, **PACE)), receivers


def _await_notifier(outcomes: Outcomes, service: str) -> None:
    outcomes.outcome(service, hint=True)
    until(lambda: outcomes.pending(service) == 0, _START_SECONDS, "a notifier that delivers")


class _Coin:
    """Fails every other request, of any kind."""

    def __init__(self) -> None:
        self._flip = 0

    def __call__(self, handler: answers.Handler, received: answers.Received) -> None:
        self._flip += 1
        answers.say((500, 204, 503, 200)[self._flip % 4])(handler, received)


@pytest.mark.timeout(900)
def test_every_event_arrives_and_no_receiver_delays_anothers(
    tmp_path: Path, database_url: str, redis_url: str, request: pytest.FixtureRequest
) -> None:
    """One fails half the time and is down for a while, one hangs, and one is well."""
    long = request.config.getoption("--torture")
    events, down_seconds = (1000, 60.0) if long else (100, 3.0)
    with ExitStack() as stack:
        names = ("failing", "hanging", "well")
        outcomes, (failing, hanging, well) = stack.enter_context(_outcomes(tmp_path, database_url, redis_url, *names))
        failing.answer, hanging.answer = _Coin(), answers.hang
        stack.enter_context(hanging.listening())
        stack.enter_context(well.listening())
        stack.enter_context(outcomes.notifying())
        stack.enter_context(outcomes.sweeping())
        _await_notifier(outcomes, "well")
        for _ in range(events):
            outcomes.outcome("failing", hint=True)
        committed = dict[str, float]()
        stack.enter_context(_back_after(failing, down_seconds))
        for number in range(events // 4):
            outcomes.outcome("hanging", hint=True)
            scan = outcomes.outcome("well", hint=True)
            committed[scan.id] = time.monotonic()
            time.sleep(0.01 if number % 5 else 0.1)
        until(lambda: outcomes.pending("well") == 0, 30, "the webhooks of the service that is well")
        until(lambda: outcomes.pending("failing") == 0, down_seconds + 120, "the webhooks of the one that fails")
        expected = {each["id"] for each in outcomes.deliveries(service="failing")}
        assert len(expected) == events
        assert failing.ids() == expected, "each under its one id"
        assert {each["status"] for each in outcomes.deliveries(service="failing")} == {"delivered"}
        for name, receiver in zip(names, (failing, hanging, well), strict=True):
            assert receiver.unverified(outcomes.secret(name)) == []
        assert outcomes.pending("hanging") == events // 4, "they wait for better times"
        _check_latency(well, outcomes, committed)


@contextmanager
def _back_after(receiver: Receiver, seconds: float) -> Iterator[None]:
    """Connections are refused until then."""
    over = threading.Event()

    def come_back() -> None:
        time.sleep(seconds)
        with receiver.listening():
            over.wait()

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _check_latency(receiver: Receiver, outcomes: Outcomes, committed: dict[str, float]) -> None:
    """From the commit to the receiver."""
    scans = {each["id"]: each["scan_id"] for each in outcomes.deliveries(service="well")}
    arrived = {scans[each.id]: each.at for each in reversed(receiver.received)}
    taken = sorted(arrived[scan_id] - moment for scan_id, moment in committed.items())
    p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    print(f"the other service: {len(taken)} webhooks, p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
    assert p50 < 0.5
    assert p99 < 2.0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_notifier_that_is_killed_and_a_redis_that_is_emptied_lose_nothing(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    with (
        _outcomes(tmp_path, database_url, redis_url, "alpha") as (outcomes, [receiver]),
        receiver.listening(),
        outcomes.notifying() as supervisor,
    ):
        _await_notifier(outcomes, "alpha")
        receiver.answer = answers.hang
        stuck = outcomes.outcome("alpha", hint=True)
        until(lambda: receiver.at_once == 1, 10, "a delivery that is under way")
        pid = supervisor.pid("notifier")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not processes.alive(pid), 10, "its end")
        [cut_off] = outcomes.deliveries(scan_id=stuck.id)
        assert (cut_off["status"], cut_off["attempts"]) == ("pending", 0)
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        receiver.answer = answers.say(200)
        late = outcomes.outcome("alpha")
        outcomes.expire_leases()
        with outcomes.sweeping():
            until(lambda: outcomes.pending() == 0, _START_SECONDS, "both webhooks")
        for scan in (stuck, late):
            [delivery] = outcomes.deliveries(scan_id=scan.id)
            assert delivery["id"] in receiver.ids()
        assert receiver.unverified(outcomes.secret("alpha")) == []
        assert [each.id for each in receiver.received].count(cut_off["id"]) == 2, "at least once, under one id"
