"""`lazaretto webhooks`, on a database, a notifier and a receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ops.cli import app
from tests import receiver as answers
from tests.outcomes import Outcomes
from tests.receiver import Receiver
from tests.stack import until
from worker import settings as settings_module
from worker.errors import LazarettoError
from worker.store import services


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver.running() as running:
        yield running


@pytest.fixture
def outcomes(
    tmp_path: Path, database_url: str, redis_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Outcomes]:
    """Whose settings the commands have, too."""
    with Outcomes.of(tmp_path, database_url, redis_url, {"alpha": receiver.url}, webhook_timeout=1) as made:
        for name, value in made.variables().items():
            monkeypatch.setenv(name, value)
        settings_module.load.cache_clear()
        yield made
    settings_module.load.cache_clear()


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["webhooks", *arguments])


def _json(*arguments: str) -> Any:
    done = _run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def _failed(outcomes: Outcomes, receiver: Receiver) -> dict[str, Any]:
    """A delivery that was given up."""
    receiver.answer = answers.say(410)
    outcomes.outcome("alpha")
    outcomes.deliverer().run("alpha")
    receiver.answer = answers.say(200)
    return outcomes.deliveries()[0]


def test_a_list_says_what_became_of_each(outcomes: Outcomes, receiver: Receiver) -> None:
    failed = _failed(outcomes, receiver)
    waiting = outcomes.outcome("alpha")
    table = _run("list").output.splitlines()
    assert len(table) == 3
    assert "pending" in table[1]
    assert "none yet" in table[1]
    assert failed["id"] in table[2]
    assert "answered 410" in table[2]
    assert [each["status"] for each in _json("list")["items"]] == ["pending", "given_up"]
    assert [each["id"] for each in _json("list", "--status", "given_up")["items"]] == [failed["id"]]
    assert [each["scan_id"] for each in _json("list", "--scan", waiting.id)["items"]] == [waiting.id]
    assert _json("list", "--service", "other")["items"] == []
    assert len(_json("list", "--since", "1h", "--limit", "1")["items"]) == 1


def test_one_delivery_shows_its_log_and_what_is_sent(outcomes: Outcomes, receiver: Receiver) -> None:
    failed = _failed(outcomes, receiver)
    shown = _json("show", failed["id"])
    assert json.loads(shown["payload"])["type"] == "scan.rejected"
    assert [each["error"] for each in shown["log"]] == ["answered 410"]
    assert "answered 410" in _run("show", failed["id"]).output
    done = _run("show", "msg_nobody")
    assert isinstance(done.exception, LazarettoError)
    assert "no delivery 'msg_nobody'" in str(done.exception)


@pytest.mark.parametrize("wanted", ["id", "filter"])
def test_what_was_given_up_is_delivered_again_under_its_id(outcomes: Outcomes, receiver: Receiver, wanted: str) -> None:
    failed = _failed(outcomes, receiver)
    by_filter = ("--service", "alpha", "--status", "given_up", "--since", "1h")
    assert _json("redeliver", *((failed["id"],) if wanted == "id" else by_filter)) == {"redelivered": 1}
    outcomes.deliverer().run("alpha")
    assert [each.id for each in receiver.received] == [failed["id"]] * 2
    assert outcomes.deliveries()[0]["status"] == "delivered"
    assert receiver.unverified(outcomes.secret("alpha")) == []


def test_nothing_is_delivered_again_unasked(outcomes: Outcomes) -> None:
    assert "say which" in _run("redeliver").output
    assert isinstance(_run("redeliver", "msg_nobody").exception, LazarettoError)


def test_a_secret_is_printed_and_exchanged(outcomes: Outcomes) -> None:
    first = _run("secret", "alpha").output.strip()
    assert first == outcomes.secret("alpha")
    second = _run("secret", "alpha", "--rotate").output.strip()
    assert second.startswith("whsec_")
    assert (outcomes.secret("alpha"), outcomes.valid("alpha")) == (second, [second, first])
    third = _run("secret", "alpha", "--rotate", "--grace", "0s").output.strip()
    assert third in outcomes.valid("alpha")
    assert second not in outcomes.valid("alpha")
    assert isinstance(_run("secret", "nobody").exception, LazarettoError)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_test_goes_ahead_of_all_others_and_says_what_became_of_it(outcomes: Outcomes, receiver: Receiver) -> None:
    receiver.answer = answers.say(500)
    for _ in range(3):
        outcomes.outcome("alpha")
    with outcomes.notifying():
        until(lambda: _run("test", "alpha").exit_code == 1 and bool(receiver.received), 60, "a test that fails")
        receiver.answer = answers.say(200)
        passed = _json("test", "alpha")
    assert (passed["type"], passed["status"], passed["attempts"]) == ("webhook.test", "delivered", 1)
    tested = next(each for each in receiver.received if each.id == passed["id"])
    assert tested.verified(outcomes.secret("alpha"))["type"] == "webhook.test"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_test_that_nobody_can_make_is_said(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no service 'nobody'" in str(_run("test", "nobody").exception)
    with outcomes.database.write() as connection:
        services.add(connection, "silent")
    assert "names no webhook_url" in str(_run("test", "silent").exception)
    monkeypatch.setattr("worker.webhooks._PATIENCE", -1)
    assert "No notifier" in str(_run("test", "alpha").exception)
