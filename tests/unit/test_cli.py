"""What the command line shows, and says with its exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ops import cli
from ops.cli import app
from ops.cli.periods import seconds
from ops.cli.submit import _exit_code
from ops.cli.tables import inert
from worker.errors import ObjectMissing
from worker.policy_file import PolicyFile
from worker.settings import REPOSITORY


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ({"clean"}, 0),
        ({"clean", "released"}, 0),
        ({"clean", "infected"}, 1),
        ({"rejected", "failed"}, 1),
        ({"clean", "unscannable"}, 2),
        ({"failed"}, 2),
        ({"expired"}, 2),
    ],
)
def test_exit_codes(statuses: set[str], code: int) -> None:
    assert _exit_code(statuses) == code


def test_hostile_names_move_no_cursor() -> None:
    assert inert("a\x1b[2Jb\nc\u202ed") == "a�[2Jb�c�d"
    assert inert("Ünï çödé 文件 😀") == "Ünï çödé 文件 😀"


def test_nor_do_names_in_a_fault(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes to the store by themselves calls objects what they like."""

    def failing() -> None:
        raise ObjectMissing("s3://quarantine/incoming/x/\x1b]0;pwned\x07: not there\nsecond line")

    monkeypatch.setattr(cli, "app", failing)
    monkeypatch.setattr(cli.installation, "find", lambda: None)  # a stack of whoever runs the tests is none of ours
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert capsys.readouterr().err == (
        "lazaretto: s3://quarantine/incoming/x/\N{REPLACEMENT CHARACTER}]0;pwned\N{REPLACEMENT CHARACTER}: not there\n"
        "second line\n"
    )


@pytest.mark.parametrize(("text", "value"), [("5s", 5), ("5", 5), ("1.5m", 90), ("2h", 7200), ("2d", 172800)])
def test_periods(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5w", "5 s"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected one like"):
        seconds(text)


@pytest.mark.parametrize("text", ["99999999d", "9" * 400 + "d"])
def test_a_period_that_no_calendar_holds_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="at most 1000 years"):
        seconds(text)


def test_a_policy_is_checked_and_named_as_on_the_records(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text((REPOSITORY / "ops" / "policy.toml").read_text() + "[services.avatars]\nmax_side = 9\n")
    checked = CliRunner().invoke(app, ["policy", "check", str(path)])
    policies = PolicyFile.load(path)
    assert checked.exit_code == 0
    assert (
        f"{policies.default.fingerprint}  the default\n  {policies.of('avatars').fingerprint}  avatars"
        in checked.output
    )
    path.write_text("[default]\nmax_side = 9\n")
    faulty = CliRunner().invoke(app, ["policy", "check", str(path)])
    assert (faulty.exit_code, "default.types: missing" in faulty.output) == (1, True)


def test_what_only_asks_the_api_waits_for_no_library_that_it_does_not_use() -> None:
    """They are most of the second that the whole tool takes to import."""
    asks = "import sys; from ops import cli; cli.app(['scans', '--help'], standalone_mode=False); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True).stdout
    assert {"sqlalchemy", "alembic", "boto3", "celery"}.isdisjoint(loaded.split())
