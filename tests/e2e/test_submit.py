"""`lazaretto submit` and `lazaretto scans` against the whole stack."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import Stack
from worker.canaries import eicar, encrypted_zip

LAZARETTO = Path(sys.executable).with_name("lazaretto")


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Runner:
    return Runner(stack, tmp_path)


class Runner:
    """The tool, as a user of the stack's home runs it."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._env, self.folder = {"LAZARETTO_HOME": stack.env["LAZARETTO_HOME"], "PATH": "/usr/bin"}, folder

    def __call__(self, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        command = [str(LAZARETTO), *arguments]
        done = subprocess.run(command, input=stdin, env=self._env, cwd=self.folder, capture_output=True, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def file(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)


def test_a_folder_in_a_table(run: Runner) -> None:
    run.file("in/a.txt", b"hello")
    run.file("in/deep/b.csv", b"a,b\n")
    (run.folder / "in" / "link.txt").symlink_to("/etc/hostname")
    code, out, err = run("submit", "in")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["FILE", "SIZE", "TYPE", "OUTCOME", "WHY", "ID"]
    assert [line.split()[0] for line in lines[1:]] == ["a.txt", "b.csv"]
    assert all("clean" in line for line in lines[1:])


@pytest.mark.parametrize(
    ("name", "data", "code", "status"),
    [
        ("a.txt", b"hello", 0, "clean"),
        ("a.com", eicar(), 1, "infected"),
        ("a.png", b"hello", 1, "rejected"),
        ("a.zip", encrypted_zip(), 2, "unscannable"),
    ],
)
def test_the_exit_code_tells(run: Runner, name: str, data: bytes, code: int, status: str) -> None:
    got, out, _ = run("submit", "--json", run.file(name, data))
    assert got == code
    assert [scan["status"] for scan in json.loads(out)] == [status]


def test_standard_input_has_a_name(run: Runner) -> None:
    code, out, _ = run("submit", "--json", "--name", "notes.txt", "-", stdin=b"hello")
    assert code == 0
    assert json.loads(out)[0]["filename"] == "notes.txt"


def test_hostile_names_are_inert_in_the_table(run: Runner) -> None:
    run.file("in/\x1b[2J[red]x[bold].txt", b"hello")
    code, out, _ = run("submit", "in")
    assert code == 0
    assert "\x1b" not in out
    assert "\N{REPLACEMENT CHARACTER}[2J[red]x[bold].txt" in out


def test_what_is_not_there_is_one_line(run: Runner) -> None:
    code, _, err = run("submit", "nowhere")
    assert (code, err) == (2, "lazaretto: nowhere: there is no such file (expected: a file, a folder, or -)\n")


def test_a_stack_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    env = {"LAZARETTO_URL": "http://127.0.0.1:1", "LAZARETTO_API_KEY": "k", "PATH": "/usr/bin"}
    done = subprocess.run([LAZARETTO, "scans", "list"], env=env, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("lazaretto: http://127.0.0.1:1")
    assert done.stderr.count(b"\n") == 1


def test_scans_are_listed_and_shown(run: Runner) -> None:
    _, out, _ = run("submit", "--json", run.file("shown.txt", b"hello"))
    scan_id = json.loads(out)[0]["id"]
    code, out, _ = run("scans", "list", "--status", "clean", "--since", "1h", "--json")
    assert code == 0
    assert scan_id in [item["id"] for item in json.loads(out)["items"]]
    code, out, _ = run("scans", "show", scan_id)
    assert code == 0
    assert "shown.txt" in out
    assert "intake: 5 bytes are in quarantine" in out
