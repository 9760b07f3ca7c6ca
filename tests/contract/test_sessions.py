"""Operators who are logged in, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import structlog
from sqlalchemy import select

from tests.calendar import Calendar
from tests.system import KEY
from worker import api_keys, clock, services, sessions
from worker.services import Scope
from worker.store import sessions as stored
from worker.store.database import Database
from worker.store.tables import sessions as table

HOURS = 3600  # seconds


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    services.ensure_bootstrap_key(made, KEY)
    yield made
    made.close()


def test_a_session_is_its_keys_and_lasts_for_half_a_day(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar = Calendar(monkeypatch)
    session = sessions.begin(database, KEY)
    caller = sessions.caller(database, session)
    assert caller is not None
    assert (caller.service, Scope.OPERATE in caller.scopes) == ("default", True)
    calendar.pass_time(12 * HOURS - 60)
    assert sessions.caller(database, session) is not None
    calendar.pass_time(60)
    assert sessions.caller(database, session) is None


def test_the_log_tells_who_logged_in_and_no_secrets(database: Database) -> None:
    with structlog.testing.capture_logs() as log:
        session = sessions.begin(database, KEY)
        with pytest.raises(sessions.NotAnOperator):
            sessions.begin(database, "a-wrong-key")
    caller = sessions.caller(database, session)
    assert caller is not None
    assert [(each["event"], each["actor"]) for each in log] == [
        ("operator_logged_in", caller.actor),
        ("login_refused", None),
    ]
    for secret in (session, KEY, "a-wrong-key"):
        assert secret not in str(log)


def test_the_record_is_no_way_in(database: Database) -> None:
    session = sessions.begin(database, KEY)
    with database.read() as connection:
        [row] = connection.execute(select(table)).mappings().all()
    assert session not in str(dict(row))
    assert sessions.caller(database, row["hash"]) is None


def test_whoever_has_no_key_that_may_operate_begins_none(database: Database) -> None:
    theirs = api_keys.create(database, "default", [Scope.SUBMIT, Scope.READ], None).key
    for key in (theirs, "", "no-such-key", "x" * 100_000, "a\0b", "\N{SNOWMAN}"):
        with pytest.raises(sessions.NotAnOperator):
            sessions.begin(database, key)


def test_nobody_is_behind_a_session_that_was_never_begun(database: Database) -> None:
    for session in ("", "x", "a\0b", "x" * 100_000):
        assert sessions.caller(database, session) is None
        sessions.end(database, session)


def test_a_revoked_key_ends_its_sessions_at_once_and_no_others(database: Database) -> None:
    key = api_keys.create(database, "default", [Scope.OPERATE], None)
    theirs, ours = sessions.begin(database, key.key), sessions.begin(database, KEY)
    api_keys.revoke(database, key.prefix)
    assert sessions.caller(database, theirs) is None
    assert sessions.caller(database, ours) is not None


def test_what_is_over_is_forgotten_and_nothing_else(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    calendar = Calendar(monkeypatch)
    sessions.begin(database, KEY)
    calendar.pass_time(6 * HOURS)
    later = sessions.begin(database, KEY)
    calendar.pass_time(6 * HOURS + 1)
    with database.write() as connection:
        assert stored.forget(connection, clock.now()) == 1
    assert sessions.caller(database, later) is not None


def test_everybody_signs_with_the_same_secret(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        secrets = set(pool.map(lambda _: sessions.signing_secret(database), range(8)))
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 43  # 256 bits
