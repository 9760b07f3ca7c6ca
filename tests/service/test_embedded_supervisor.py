"""Starting, watching, restarting and stopping, with programs that do as they are told."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.embedded.faults import Interrupted, StackFault
from ops.embedded.service import Service
from ops.embedded.supervisor import Supervisor
from tests import processes
from tests.stack import until


@dataclass
class Script(Service):
    """A shell script that is ready once it has written its process id."""

    directory: Path
    script: str = "sleep 1000"
    name: str = "script"
    ready_seconds: float = 5
    stop_seconds: float = 0.5
    starts: int = 0

    def command(self) -> list[str]:
        return ["sh", "-c", f"echo $$ > {self._file}; {self.script}"]

    def prepare(self) -> None:
        self.starts += 1

    def clear(self) -> None:
        self._file.unlink(missing_ok=True)

    def ready(self) -> bool:
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        text = self._file.read_text() if self._file.exists() else ""
        return int(text) if text.endswith("\n") else None

    @property
    def _file(self) -> Path:
        return self.directory / f"{self.name}.pid"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", said.append, first_pause=0.1) as made:
        yield made


@contextmanager
def _watching(supervisor: Supervisor) -> Iterator[None]:
    thread = threading.Thread(target=supervisor.watch)
    thread.start()
    try:
        yield
    finally:
        supervisor.interrupt()
        thread.join()


def test_a_killed_child_is_back_at_once_with_one_line_each_way(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    service = Script(tmp_path)
    supervisor.start(service)
    first = service.pid
    assert first is not None
    with _watching(supervisor):
        os.kill(first, signal.SIGKILL)
        until(lambda: any(" is back after " in line for line in said), 5, "the restart")
    assert service.pid not in {None, first}
    died, back = said
    assert died.startswith("script died (killed by SIGKILL); starting it again in 0.1 s, see ")
    assert back.startswith("script is back after ")


def test_a_child_that_dies_again_and_again_is_given_more_and_more_time(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    service = Script(tmp_path, script="exit 3")
    supervisor.launch(service)
    with _watching(supervisor):
        until(lambda: service.starts == 3, 10, "the second restart")
    pauses = [line.partition("again in ")[2].partition(" s,")[0] for line in said if "died (exit code 3)" in line]
    assert pauses[:2] == ["0.1", "0.2"]


def test_what_a_dead_child_leaves_behind_dies_before_it_is_started_again(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    orphan = tmp_path / "orphan"
    service = Script(tmp_path, script=f"sleep 1000 & echo $! > {orphan}.new; mv {orphan}.new {orphan}; wait")
    supervisor.start(service)
    until(orphan.exists, 5, "the grandchild")
    grandchild = int(orphan.read_text())
    with _watching(supervisor):
        os.kill(service.pid or 0, signal.SIGKILL)
        until(lambda: bool(said), 5, "its burial")
        until(lambda: not processes.alive(grandchild), 5, "the end of the grandchild")


def test_a_child_that_ends_before_it_is_ready_is_a_fault_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    silent = Script(tmp_path / "nowhere", name="broken", script="echo cannot find my wits >&2; exit 2")
    with pytest.raises(StackFault, match=r"broken ended \(exit code 2\) before it was ready(.|\n)*cannot find my wits"):
        supervisor.start(silent)


def test_a_child_that_takes_too_long_is_a_fault(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(StackFault, match=r"script is not ready after 0\.2 s"):
        supervisor.start(Script(tmp_path / "nowhere", ready_seconds=0.2))


def test_waiting_ends_when_the_operator_interrupts(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.interrupt()
    with pytest.raises(Interrupted):
        supervisor.start(Script(tmp_path / "nowhere"))


def test_a_stubborn_child_is_killed_with_everything_it_started(tmp_path: Path) -> None:
    service = Script(tmp_path, script="trap '' TERM; sleep 1000 & wait")
    with Supervisor(tmp_path / "logs", print) as supervisor:
        supervisor.start(service)
        assert service.pid is not None
        leader = service.pid
        until(lambda: len(processes.family(leader)) == 2, 5, "the grandchild")
        family = processes.family(leader)
        began = time.monotonic()
    assert 0.4 < time.monotonic() - began < 5
    assert not any(processes.alive(pid) for pid in family)


def test_what_was_launched_last_stops_first(tmp_path: Path) -> None:
    order = tmp_path / "order"
    with Supervisor(tmp_path / "logs", print) as supervisor:
        for name in ("server", "client"):
            script = f"trap 'echo {name} >> {order}; exit 0' TERM; while :; do sleep 0.05; done"
            supervisor.start(Script(tmp_path, name=name, script=script, stop_seconds=5))
    assert order.read_text().split() == ["client", "server"]


def test_a_program_runs_to_its_end_with_its_environment(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = supervisor.run([sys.executable, "-c", "import os; print(os.environ['X']); exit(7)"], {"X": "seen"}, log)
    assert (code, log.read_text()) == (7, "seen\n")


def test_the_log_of_the_last_run_is_kept_and_no_more(tmp_path: Path) -> None:
    for run in ("first", "second", "third"):
        with Supervisor(tmp_path, print) as supervisor:
            supervisor.start(Script(tmp_path, script=f"echo {run}; sleep 1000"))
            until(lambda: bool((tmp_path / "script.log").read_text()), 5, "the log")
    assert (tmp_path / "script.log").read_text() == "third\n"
    assert (tmp_path / "script.previous.log").read_text() == "second\n"
