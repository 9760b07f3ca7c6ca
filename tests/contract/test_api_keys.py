"""Services and their keys, on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.calendar import Calendar
from worker import api_keys, clock, services
from worker.api_keys import BadLifetime, BadName, NoSuchKey
from worker.errors import NoSuchService
from worker.services import Scope
from worker.store import services as stored
from worker.store.database import Database

DAY = 86400  # seconds


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    api_keys.add_service(made, "avatars")
    yield made
    made.close()


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    return Calendar(monkeypatch)


def _last_use(database: Database, prefix: str) -> object:
    with database.read() as connection:
        return stored.keys_called(connection, prefix)[0].last_used_at


def test_a_service_is_added_once_however_often_it_is_asked_for(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda _: api_keys.add_service(database, "invoices"), range(8)))
    assert sorted(added) == [False] * 7 + [True]
    with database.read() as connection:
        assert list(stored.all_names(connection)) == ["avatars", "invoices"]


@pytest.mark.parametrize("name", ["", "A", "a/b", "../a", "a b", "-a", "a" * 64, "ä", "a\n"])
def test_names_that_would_not_fit_into_a_key_are_refused(database: Database, name: str) -> None:
    with pytest.raises(BadName, match="no name for a service"):
        api_keys.add_service(database, name)


def test_a_key_is_known_by_its_prefix_and_kept_as_a_hash(database: Database) -> None:
    new = api_keys.create(database, "avatars", [Scope.READ, Scope.SUBMIT], None)
    assert re.fullmatch(r"lz_[a-z2-9]{8}_[\w-]{43}", new.key)
    caller = services.identify(database, new.key)
    assert caller is not None
    assert (caller.service, caller.key, caller.scopes) == ("avatars", new.prefix, frozenset({Scope.READ, Scope.SUBMIT}))
    assert services.identify(database, new.key[:-1]) is None
    assert services.identify(database, new.key + "x" * 1_000_000) is None
    with database.read() as connection:
        assert new.key not in str(connection.exec_driver_sql("SELECT * FROM api_keys").fetchall())


def test_nobody_gets_a_key_of_a_service_that_is_not_there(database: Database) -> None:
    with pytest.raises(NoSuchService, match="'nobody'"):
        api_keys.create(database, "nobody", [Scope.READ], None)


def test_a_key_ends_when_its_time_is_over(database: Database, calendar: Calendar) -> None:
    new = api_keys.create(database, "avatars", [Scope.READ], 60)
    calendar.pass_time(59)
    assert services.identify(database, new.key)
    calendar.pass_time(2)
    assert services.identify(database, new.key) is None


def test_a_key_is_not_valid_for_longer_than_a_calendar(database: Database) -> None:
    with pytest.raises(BadLifetime, match="9999999 days"):
        api_keys.create(database, "avatars", [Scope.READ], 9999999 * DAY)


def test_a_revoked_key_is_over_at_once_and_for_good(database: Database) -> None:
    new = api_keys.create(database, "avatars", [Scope.READ], None)
    assert services.identify(database, new.key)
    api_keys.revoke(database, new.prefix)
    assert services.identify(database, new.key) is None
    for again in (lambda: api_keys.revoke(database, new.prefix), lambda: api_keys.rotate(database, new.prefix, DAY)):
        with pytest.raises(NoSuchKey, match=new.prefix):
            again()


def test_a_rotated_key_has_a_successor_with_the_same_rights_and_lifetime(
    database: Database, calendar: Calendar
) -> None:
    old = api_keys.create(database, "avatars", [Scope.READ], 30 * 86400)
    calendar.pass_time(10 * 86400)
    first, second = api_keys.rotate(database, old.prefix, DAY), api_keys.rotate(database, old.prefix, DAY)
    for new in (first, second):
        assert (new.service, new.scopes) == ("avatars", ["read"])
        assert new.expires_at is not None
        assert abs(new.expires_at - clock.now() - timedelta(days=30)) < timedelta(minutes=1)
    assert all(services.identify(database, each.key) for each in (old, first, second))
    calendar.pass_time(86400)
    assert services.identify(database, old.key) is None
    assert services.identify(database, first.key)


def test_rotating_never_prolongs_the_old_key(database: Database, calendar: Calendar) -> None:
    old = api_keys.create(database, "avatars", [Scope.READ], 3600)
    api_keys.rotate(database, old.prefix, DAY)
    calendar.pass_time(3601)
    assert services.identify(database, old.key) is None


def test_rotating_a_key_brings_none_of_its_name_back(database: Database, calendar: Calendar) -> None:
    """Keys from the environment were all called `bootstrap`, and the earlier one may have ended because it leaked."""
    _add_of_one_name(database, "leaked")
    api_keys.rotate(database, "bootstrap", 0)
    calendar.pass_time(60)
    _add_of_one_name(database, "next")
    api_keys.rotate(database, "bootstrap", DAY)
    assert services.identify(database, "leaked") is None
    assert services.identify(database, "next")
    calendar.pass_time(DAY + 1)
    assert services.identify(database, "next") is None


def _add_of_one_name(database: Database, key: str) -> None:
    with database.write() as connection:
        hashed = services.hashed(key)
        stored.add_key(connection, key_hash=hashed, prefix="bootstrap", service="avatars", scopes=["operate"])


def test_an_earlier_key_of_the_environment_can_be_revoked_alone(database: Database) -> None:
    for key in ("earlier", "present"):
        services.ensure_bootstrap_key(database, key)
    with database.read() as connection:
        earlier, present = stored.all_keys(connection, "default")
    assert earlier.prefix.startswith("bootstrap_")
    api_keys.revoke(database, earlier.prefix)
    assert services.identify(database, "earlier") is None
    caller = services.identify(database, "present")
    assert caller is not None
    assert caller.key == present.prefix


def test_use_is_on_record_to_the_minute_and_written_once(database: Database, calendar: Calendar) -> None:
    new = api_keys.create(database, "avatars", [Scope.READ], None)
    assert _last_use(database, new.prefix) is None
    services.identify(database, new.key)
    first = _last_use(database, new.prefix)
    calendar.pass_time(30)
    services.identify(database, new.key)
    assert _last_use(database, new.prefix) == first is not None
    calendar.pass_time(31)
    services.identify(database, new.key)
    assert _last_use(database, new.prefix) != first
