"""The runbook, followed to the letter: each of its commands is run, on a stack in a state in which it is called for."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ops.cli import main
from tests.night import Night
from tests.outcomes import policy
from tests.receiver import Receiver
from tests.runbook import COMMANDS, PRELUDE, SERVERS, TEXT, Command, anchor, blocks, sections
from tests.stack import Stack, until
from worker.settings import REPOSITORY, load
from worker.store.tables import api_keys as keys

LABELS = ("Owner", "Symptom", "First look", "Command", "Expected result", "Rollback", "Safe to repeat")
STUCK = [f"A scan stays in {status}" for status in ("receiving", "queued", "scanning", "settling")]
PROMISED = [
    *STUCK,
    "Buckets and database differ",
    "Statistics are wrong",
    "An operator's key has leaked",
    "Malware was promoted (rescan and recall)",
    "Retry after an outage",
]
# Exit codes other than 0, and why.
CODES = {
    "make run": 2,  # a stack runs in this home already
    "freshclam --config-file=/etc/clamav/freshclam.conf --stdout": 11,  # from a mirror where nothing listens
}
_SERVED_SECONDS = 1.0  # once they have started; then they are asked
_SECONDS = 60


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("night")
    with Receiver.running() as receiver:
        rules = {"LAZARETTO_POLICY_FILE": str(policy(folder, {"default": receiver.url}))}
        rules["LAZARETTO_WEBHOOK_ALLOWED_NETWORKS"] = "127.0.0.0/8"
        with Stack.started(folder / "stack", development_signatures, **rules) as stack:
            made = Night(stack, folder)
            with closing(made.database):
                yield made


@pytest.fixture
def run(
    night: Night, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """Exit code and output: of our own commands in this process, since each start takes a second, else of a shell."""
    base = night.environment

    def ours(text: str) -> tuple[int, str]:
        monkeypatch.chdir(night.folder)
        monkeypatch.setattr(os, "environ", base | night.stack.env)
        monkeypatch.setattr(sys, "argv", shlex.split(text))
        load.cache_clear()
        code = _ended(main)
        return code, "".join(capfd.readouterr())

    def shell(text: str) -> tuple[int, str]:
        script = f"{PRELUDE}{text}\n"
        done = subprocess.run(
            ["sh", "-c", script], cwd=REPOSITORY, env=base, capture_output=True, text=True, timeout=_SECONDS
        )
        return done.returncode, done.stdout + done.stderr

    yield lambda text: (ours if text.startswith("lazaretto ") else shell)(text)
    load.cache_clear()


def _ended(program: Callable[[], None]) -> int:
    try:
        program()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    return 0


def test_each_section_says_all_that_is_needed_at_night() -> None:
    told = sections()
    assert set(PROMISED) <= set(told)
    for name, text in told.items():
        places = [text.find(f"**{label}**") for label in LABELS]
        lacking = [label for label, place in zip(LABELS, places, strict=True) if place < 0]
        assert not lacking, f"{name} lacks {lacking}"
        assert places[2:] == sorted(places[2:]), f"{name} is out of order"
        assert len(blocks(text)) >= 1, name
        assert all(not line.startswith(("\t", " ")) for block in blocks(text) for line in block.splitlines())


def test_every_link_within_the_runbook_leads_somewhere() -> None:
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


def test_every_alert_leads_to_its_heading() -> None:
    rules = (REPOSITORY / "ops" / "prometheus" / "rules.yml").read_text()
    alerts = re.findall(r"^ +- alert: (\w+)$", rules, flags=re.MULTILINE)
    assert len(alerts) >= 20
    assert set(alerts) == {name for name in sections() if name.startswith("Lazaretto")}
    links = re.findall(r"^ +runbook_url: (.+)$", rules, flags=re.MULTILINE)
    assert links == [f"ops/runbook.md#{anchor(alert)}" for alert in alerts]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.section}: {command.text}"[:80])
def test_a_command_does_what_it_says(night: Night, run: Callable[..., tuple[int, str]], command: Command) -> None:
    if "--status failed" in command.text:
        night.failed()
    code, told = run(night.fill(command))
    assert code == CODES.get(command.text, 0), told
    assert "Traceback" not in told
    if check := AFTERWARDS.get(command.text):
        check(night, told)


@pytest.mark.timeout(120)
def test_what_is_started_serves_until_it_is_asked_to_stop(night: Night) -> None:
    """All at once: each takes seconds to start."""
    assert {each.text.split()[0] for each in SERVERS} == {"celery", "lazaretto"}
    with ThreadPoolExecutor(len(SERVERS)) as together:
        ended = list(together.map(lambda command: _served(night, command.text), SERVERS))
    assert ended == [0] * len(SERVERS)


def _served(night: Night, text: str) -> int:
    """Its exit code; fails where it ends before it is asked to."""
    log = night.folder / f"{re.sub(r'[^a-z]+', '-', text)}.log"
    base = night.environment
    with log.open("w") as output:
        process = subprocess.Popen(
            ["sh", "-c", f"{PRELUDE}exec {text}"],
            cwd=REPOSITORY,
            env=base,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            until(lambda: _heeds_signals(process.pid) or process.poll() is not None, _SECONDS, f"the start of {text}")
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(_SERVED_SECONDS)
            process.send_signal(signal.SIGTERM)
            return process.wait(_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _heeds_signals(pid: int) -> bool:
    """Does it do something of its own when it is asked to stop, or keep that for later? Who is about to start another
    process keeps every signal for a moment, which says nothing."""
    status = Path(f"/proc/{pid}/status").read_text()
    kept = [int(mask, 16) for mask in re.findall(r"^Sig(?:Blk|Cgt):\s+([0-9a-f]+)$", status, flags=re.MULTILINE)]
    asked, every = (1 << (each - 1) for each in (signal.SIGTERM, signal.SIGSEGV))
    return any(mask & asked and not mask & every for mask in kept)


def _is(status: str) -> Callable[[Night, str], None]:
    def check(night: Night, _told: str) -> None:
        assert night.status(night.filled["ID"]) == status

    return check


def _worker_is_back(night: Night, _told: str) -> None:
    ended = int(night.filled["PID"])
    until(lambda: ended not in night.stack.pids and _ready(night), 60, "another worker")
    assert night.promoted()


def _ready(night: Night) -> bool:
    with night.stack.client() as client:
        return bool(client.get("/readyz").json()["status"] == "ok")


def _revoked(night: Night, _told: str) -> None:
    with night.database.read() as connection:
        revoked = select(keys.c.revoked_at).where(keys.c.prefix == night.filled["PREFIX"])
        assert connection.execute(revoked).scalar_one() is not None


def _none_failed(night: Night, _told: str) -> None:
    def failed() -> int:
        with night.stack.client() as client:
            return len(client.get("/v1/scans", params={"status": "failed"}).json()["items"])

    until(lambda: failed() == 0, 30, "all to be scanned again")


def _says(*words: str) -> Callable[[Night, str], None]:
    def check(_night: Night, told: str) -> None:
        assert all(word in told for word in words), told

    return check


def _is_a_number(_night: Night, told: str) -> None:
    assert told.strip().isdigit(), told


AFTERWARDS: dict[str, Callable[[Night, str], None]] = {
    'curl -sS "http://$LAZARETTO_HOST:$LAZARETTO_PORT/healthz"': _says('{"status":"ok"}'),
    "make run": _says("another stack is running"),
    "freshclam --config-file=/etc/clamav/freshclam.conf --stdout": _says("127.0.0.1:9"),
    "lazaretto migrate": _says("the database is up to date"),
    "lazaretto doctor": _says("0 fail"),
    "lazaretto policy check": _says("in order"),
    "lazaretto reconcile": _says("they agree"),
    "redis ping": _says("PONG"),
    **{f"redis llen {queue}": _is_a_number for queue in ("scans", "large", "bulk", "webhooks")},
    "redis info memory": _says("maxmemory_policy:noeviction"),
    "lazaretto scans retry ID": _is("unscannable"),  # once more: it is as encrypted as before
    'lazaretto scans release ID --reason "the service vouches for it, ticket 4711"': _is("released"),
    "lazaretto scans erase ID": _is("erased"),
    "lazaretto scans retry --status failed --since 2h --yes": _none_failed,
    "lazaretto scans retry --status failed --since 12h --yes": _none_failed,
    "lazaretto keys revoke PREFIX": _revoked,
    "lazaretto webhooks test SERVICE": _says("delivered"),
    "kill -TERM PID": _worker_is_back,
}


def test_whatever_is_checked_afterwards_is_in_the_runbook() -> None:
    assert set(AFTERWARDS) | set(CODES) <= {command.text for command in COMMANDS}
