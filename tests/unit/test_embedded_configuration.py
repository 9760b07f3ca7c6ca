"""What the stack's processes and its users are told: complete, faithful, and refused with all faults named."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from ops.embedded.configuration import Wishes, complete, write_stack_env
from ops.embedded.dotenv_file import as_dotenv
from ops.embedded.faults import StackFault

PROVIDED = {
    "LAZARETTO_HOME": "/srv/lazaretto",
    "LAZARETTO_REDIS_URL": "redis://:secret@127.0.0.1:20001/0",
    "LAZARETTO_CLAMD": "unix:///srv/lazaretto/clamd.sock",
    "AWS_ACCESS_KEY_ID": "embedded",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:20002",
}

CARRIED = [
    "",
    "plain-1.0",
    "two words",
    "#hash # and more",
    '"quoted"',
    "a=b=c",
    "$HOME",
    "`id`",
    "$(id)",
    "&|;<>*?~!",
    "é \U0001f600",
]


@pytest.mark.parametrize("value", CARRIED)
def test_a_shell_and_dotenv_read_the_same(tmp_path: Path, value: str) -> None:
    file = tmp_path / "stack.env"
    file.write_text(as_dotenv({"BEFORE": "1", "VALUE": value, "AFTER": "2"}))
    assert dotenv_values(file) == {"BEFORE": "1", "VALUE": value, "AFTER": "2"}
    script = f'. "{file}" && printf %s "$VALUE"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode() == value


@pytest.mark.parametrize("value", ["it's", "back\\slash", "two\nlines", "${HOME}"])
def test_what_the_format_cannot_carry_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(StackFault, match="LAZARETTO_HOME contains"):
        write_stack_env(tmp_path / "stack.env", {"LAZARETTO_HOME": value})
    assert not list(tmp_path.iterdir())


def test_stack_env_is_for_us_alone_and_holds_no_foreign_variables(tmp_path: Path) -> None:
    file = tmp_path / "stack.env"
    write_stack_env(file, {"LAZARETTO_PORT": "8000", "AWS_REGION": "x", "PATH": "/bin", "GITHUB_TOKEN": "t"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert dotenv_values(file) == {"AWS_REGION": "x", "LAZARETTO_PORT": "8000"}


def test_every_setting_is_spelled_out() -> None:
    variables = complete(Wishes({"LAZARETTO_CLEAN_BUCKET": "shelf", "PATH": "/bin"}), PROVIDED)
    assert variables["LAZARETTO_CLEAN_BUCKET"] == "shelf"
    assert variables["LAZARETTO_QUARANTINE_BUCKET"] == "quarantine"
    assert variables["LAZARETTO_REDIS_URL"] == PROVIDED["LAZARETTO_REDIS_URL"]
    assert variables["LAZARETTO_MAX_ATTEMPTS"] == "3"
    assert variables["PATH"] == "/bin"


def test_what_is_spelled_out_means_the_same_when_read_again() -> None:
    once = complete(Wishes({}), PROVIDED)
    assert complete(Wishes(once), {}) == once


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_SESSION_TOKEN"])
def test_credentials_of_another_account_do_not_reach_the_embedded_store(name: str) -> None:
    assert name not in complete(Wishes({name: "foreign"}), PROVIDED)
    assert name in complete(Wishes({name: "foreign"}), {"LAZARETTO_HOME": "/srv"})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(StackFault, match=r"LAZARETTO_CLAMD: .*; LAZARETTO_MAX_ATTEMPTS: "):
        complete(Wishes({"LAZARETTO_MAX_ATTEMPTS": "0", "LAZARETTO_CLAMD": "http://x"}), {})


def test_every_fault_of_the_policy_is_named_before_anything_trips_over_it(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    with pytest.raises(StackFault, match=r"policy\.toml: No such file or directory$"):
        complete(Wishes({"LAZARETTO_POLICY_FILE": str(policy)}), PROVIDED)
    policy.write_text('[default]\nmax_siz = 3\nwebhook_url = "ftp://a"\n')
    with pytest.raises(StackFault, match=r"policy\.toml:2: .* is max_size meant\?\n(.*\n)*.*policy\.toml:3: .*; URL s"):
        complete(Wishes({"LAZARETTO_POLICY_FILE": str(policy)}), PROVIDED)


@pytest.mark.parametrize("text", ["0", "-1", "eight", "8.5"])
def test_a_number_that_is_none_is_named(text: str) -> None:
    with pytest.raises(StackFault, match=f"LAZARETTO_PORT is '{text}', expected a number of at least 1"):
        Wishes({"LAZARETTO_PORT": text}).number("LAZARETTO_PORT", 8000)


def test_an_empty_variable_is_not_set() -> None:
    assert Wishes({"LAZARETTO_PORT": ""}).number("LAZARETTO_PORT", 8000) == 8000
    assert Wishes({"LAZARETTO_HOME": ""}).path("LAZARETTO_HOME") is None
