"""Files of ours that others on the machine may read or replace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from ops.doctor import files
from ops.doctor.check import Finding, Verdict
from ops.doctor.subject import Subject
from worker.settings import Settings

Look = Callable[[str], Finding]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home as the embedded stack leaves it."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    for name in ("stack.env", "secrets.env", "lazaretto.db", "lazaretto.db-wal", "policy.toml"):
        (folder / name).touch(0o600)
    (folder / "scratch").mkdir(0o700)
    return folder


@pytest.fixture
def look(home: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    monkeypatch.chdir(home)
    settings = Settings(
        _env_file=None,
        home=home,
        database_url=SecretStr(f"sqlite:///{home}/lazaretto.db"),
        policy_file=home / "policy.toml",
        scratch_dir=home / "scratch",
    )
    checks = {check.name: check for check in files.CHECKS}
    return lambda name: checks[name].look(Subject({}, settings, ()))


@pytest.mark.parametrize("name", ["home", "secret-files", "database-file", "policy-file", "scratch"])
def test_a_home_as_the_stack_leaves_it_is_sound(look: Look, name: str) -> None:
    assert look(name).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("name", "file", "mode"),
    [
        ("home", ".", 0o750),
        ("home", ".", 0o701),
        ("secret-files", "stack.env", 0o640),
        ("secret-files", "secrets.env", 0o604),
        ("database-file", "lazaretto.db", 0o644),
        ("database-file", "lazaretto.db-wal", 0o644),
        ("policy-file", "policy.toml", 0o664),
        ("policy-file", ".", 0o777),
        ("scratch", "scratch", 0o777),
    ],
)
def test_what_is_open_to_others_is_named_with_its_mode(home: Path, look: Look, name: str, file: str, mode: int) -> None:
    (home / file).chmod(mode)
    finding = look(name)
    assert finding.verdict is Verdict.FAIL
    assert f"{mode:03o}" in finding.found
    assert str(home / file) in finding.found


def test_a_link_is_followed_to_where_others_can_change_what_it_leads_to(home: Path, look: Look) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (home / "policy.toml").rename(elsewhere / "policy.toml")
    (home / "policy.toml").symlink_to(elsewhere / "policy.toml")
    assert look("policy-file").verdict is Verdict.OK
    elsewhere.chmod(0o777)
    assert look("policy-file") == Finding(Verdict.FAIL, f"others can change {elsewhere} (mode 777)")


def test_an_env_file_beside_the_program_is_looked_at_too(home: Path, look: Look) -> None:
    (home / ".env").touch(0o644)
    assert look("secret-files") == Finding(Verdict.FAIL, ".env has mode 644")


def test_everybody_may_use_a_folder_where_nobody_can_remove_what_is_anothers(home: Path, look: Look) -> None:
    (home / "scratch").chmod(0o1777)
    assert look("scratch").verdict is Verdict.OK


def test_what_is_not_there_is_no_fault_but_a_database(home: Path, look: Look) -> None:
    for name in ("stack.env", "secrets.env", "lazaretto.db"):
        (home / name).unlink()
    assert look("secret-files").verdict is Verdict.NOT_APPLICABLE
    assert look("database-file").verdict is Verdict.FAIL
