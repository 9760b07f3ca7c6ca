"""`lazaretto services` and `lazaretto keys` as an operator types them, in a home whose stack is known by stack.env."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.cli import installation, main
from worker import migrations
from worker.services import identify
from worker.settings import REPOSITORY, load
from worker.store import webhook_secrets
from worker.store.database import Database

_EXPECTED = "LAZARETTO_DATABASE_URL of an installation, after `lazaretto migrate`"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `var/stack.env` as a running stack writes it, and its database."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "var").mkdir()
    url = f"sqlite:///{folder}/var/lazaretto.db"
    (folder / "var" / "stack.env").write_text(f"LAZARETTO_DATABASE_URL='{url}'\n")
    database = Database(url)
    migrations.upgrade(database)
    database.close()
    return folder


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{home}/var/lazaretto.db")
    yield opened
    opened.close()


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The tool's own entry point, in this process: each start of another takes a second."""

    def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
        monkeypatch.chdir(home)
        monkeypatch.setattr(os, "environ", dict(variables))
        monkeypatch.setattr(sys, "argv", ["lazaretto", *arguments])
        load.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    yield run
    load.cache_clear()


def test_a_service_whose_policy_names_a_url_has_what_signs_its_first_webhook(
    run: Run, database: Database, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    told = '\n[services.told]\nwebhook_url = "https://told.example/"\n'
    policy.write_text((REPOSITORY / "ops" / "policy.toml").read_text() + told)
    for name in ("told", "untold"):
        assert run("services", "add", name, LAZARETTO_POLICY_FILE=str(policy))[0] == 0
    with database.read() as connection:
        assert webhook_secrets.present(connection, "told")
        assert webhook_secrets.present(connection, "untold") is None


def test_from_a_service_to_its_second_key(run: Run, database: Database) -> None:
    assert run("services", "add", "avatars") == (0, "service avatars is on record\n", "")
    assert run("services", "add", "avatars") == (0, "service avatars was on record already\n", "")
    code, first, said = run("keys", "create", "avatars", "--expires-in", "90d")
    assert code == 0
    assert re.fullmatch(r"lz_[a-z2-9]{8}_[A-Za-z0-9_-]{43}\n", first)  # alone, so that a script can take it
    assert "for submit, read, until " in said
    code, out, _ = run("keys", "rotate", first[:11], "--grace", "0", "--json")
    second = json.loads(out)
    assert (code, second["service"], second["scopes"]) == (0, "avatars", ["submit", "read"])
    assert identify(database, first.strip()) is None
    assert identify(database, second["key"]) is not None
    assert run("keys", "revoke", second["prefix"])[0] == 0
    assert identify(database, second["key"]) is None
    code, out, _ = run("keys", "list", "--service", "avatars", "--json")
    listed = {item["prefix"]: item for item in json.loads(out)}
    assert not listed[first[:11]]["valid"]
    assert listed[second["prefix"]]["revoked_at"]
    assert second["key"] not in out
    assert run("keys", "list")[1].splitlines()[1].split()[:4] == [second["prefix"], "avatars", "submit,read", "revoked"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("services", "add", "No Good"), "'No Good' is no name for a service (expected: 1 to 63 of a-z"),
        (("keys", "create", "nobody"), "there is no service 'nobody' (expected: a name that `lazaretto services list`"),
        (("keys", "revoke", "lz_aaaaaaaa"), "there is no valid key 'lz_aaaaaaaa' (expected: the prefix of a key that"),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"lazaretto: {said}")


@pytest.mark.parametrize(
    ("period", "said"), [("soon", "'soon' is no period"), ("9999999d", "'9999999d' is longer than anything here")]
)
def test_a_period_that_is_none_is_told(run: Run, period: str, said: str) -> None:
    code, _, err = run("keys", "create", "x", "--expires-in", period)
    assert (code, said in err) == (2, True)


def test_whoever_names_another_database_means_it(run: Run, tmp_path: Path) -> None:
    code, _, err = run("services", "list", LAZARETTO_DATABASE_URL=f"sqlite:///{tmp_path}/other.db")
    assert (code, err) == (
        2,
        f"lazaretto: the database sqlite:///{tmp_path}/other.db is not up to date (expected: {_EXPECTED})\n",
    )


STACK = """
LAZARETTO_DATABASE_URL='sqlite:////stack.db'
LAZARETTO_CLEAN_BUCKET='stack-clean'
AWS_ACCESS_KEY_ID='stack-key'
AWS_SECRET_ACCESS_KEY='stack-secret'
AWS_ENDPOINT_URL_S3='http://127.0.0.1:1'
"""


@pytest.mark.parametrize(
    ("own", "adopted"),
    [
        ({}, {"AWS_ACCESS_KEY_ID": "stack-key", "LAZARETTO_CLEAN_BUCKET": "stack-clean"}),
        ({"AWS_PROFILE": "mine"}, {"AWS_ACCESS_KEY_ID": "stack-key", "AWS_PROFILE": None}),
        ({"AWS_ENDPOINT_URL_S3": "http://mine"}, {"AWS_ACCESS_KEY_ID": None, "AWS_ENDPOINT_URL_S3": "http://mine"}),
        ({"LAZARETTO_CLEAN_BUCKET": "mine"}, {"AWS_ACCESS_KEY_ID": "stack-key", "LAZARETTO_CLEAN_BUCKET": "mine"}),
        ({"LAZARETTO_DATABASE_URL": "sqlite:////stack.db"}, {"AWS_ACCESS_KEY_ID": "stack-key"}),
        ({"LAZARETTO_DATABASE_URL": "sqlite:////mine.db"}, {"AWS_ACCESS_KEY_ID": None, "LAZARETTO_CLEAN_BUCKET": None}),
    ],
)
def test_credentials_of_two_installations_are_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: dict[str, str], adopted: dict[str, str | None]
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "stack.env").write_text(STACK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", dict(own))
    installation.find()
    assert {name: os.environ.get(name) for name in adopted} == adopted
