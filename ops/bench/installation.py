"""The whole stack as `make run` starts it, in a folder of its own, for as long as something is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from dotenv import dotenv_values
from sqlalchemy import Select, func, select

from ops.bench.clients import Clients
from ops.bench.processes import Processes
from ops.embedded.ports import choose
from ops.embedded.process import tail
from ops.embedded.signatures import write_development_set
from worker.scan import PENDING, Status
from worker.store.database import Database
from worker.store.tables import scans

_PREFIX = "lazaretto-bench-"
KEY = "a-key-of-the-benchmark-with-every-scope"
_READY_SECONDS, _STOP_SECONDS = 120, 60
_POLL, _SHORTEST, _LONGEST = 0.004, 0.02, 0.5  # seconds for each scan that is awaited: looking costs time, too
_NEUTRAL = ("PATH", "LANG", "TZ", "TMPDIR")  # nothing else of the operator's: no address of a stack that he needs


class Installation:
    """Running and ready."""

    def __init__(
        self, folder: Path, variables: Mapping[str, str], url: str, processes: Processes, database: Database
    ) -> None:
        self.folder, self.variables, self.url = folder, variables, url
        self.processes, self.database = processes, database

    @property
    def clamd(self) -> str:
        """The path of the scanner's socket."""
        return self.variables["LAZARETTO_CLAMD"].removeprefix("unix://")

    def clients(self, number: int) -> Clients:
        """So many, who upload at the same time."""
        return Clients(self.url, KEY, number)

    def wait_for(self, ids: Sequence[str], seconds: float = 600) -> None:
        """Until these scans have ended. Raises `TimeoutError`, and `RuntimeError` where one is not clean."""
        deadline = time.monotonic() + seconds
        while waiting := self._count(ids, PENDING):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{waiting} of {len(ids)} scans have not ended after {seconds:g} s")
            time.sleep(min(max(waiting * _POLL, _SHORTEST), _LONGEST))
        if (clean := self._count(ids, [Status.CLEAN])) != len(ids):
            raise RuntimeError(f"{clean} of {len(ids)} files were found clean, expected all")

    def wait_until_idle(self) -> None:
        """Until nothing waits that was there before: what was invented has no bytes, and fails."""
        waiting = select(func.count()).select_from(scans).where(scans.c.status.in_([each.value for each in PENDING]))
        while self._number(waiting):
            time.sleep(_LONGEST)

    def _count(self, ids: Sequence[str], statuses: Iterable[Status]) -> int:
        """How many of these scans have one of these statuses."""
        among = scans.c.id.in_(ids), scans.c.status.in_([each.value for each in statuses])
        return self._number(select(func.count()).select_from(scans).where(*among))

    def _number(self, query: Select[int]) -> int:
        with self.database.read() as connection:
            return connection.execute(query).scalar_one()


@contextmanager
def running(*beside: int, **settings: str) -> Iterator[Installation]:
    """With these settings (`workers="4"`); everything is stopped and deleted afterwards.

    `beside`: processes of servers that are somebody else's, and part of what it costs.
    """
    with folder() as place, _running_in(place, settings, beside) as site:
        yield site


@contextmanager
def folder() -> Iterator[Path]:
    """For whatever belongs to one measurement; servers that do not run as root may pass through it."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir="/var/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def _running_in(folder: Path, settings: Mapping[str, str], beside: Iterable[int]) -> Iterator[Installation]:
    wishes = {
        "LAZARETTO_HOME": str(folder / "home"),
        "LAZARETTO_PORT": str(choose(["api"])["api"]),
        "LAZARETTO_SMOKE": "0",
        "LAZARETTO_BOOTSTRAP_API_KEY": KEY,
        "LAZARETTO_CLAMAV_DATABASE_DIR": str(write_development_set(folder / "signatures")),
        **{f"LAZARETTO_{name.upper()}": value for name, value in settings.items()},
    }
    with _started(folder, wishes) as process:
        url = _ready(process, folder)
        variables = {name: value or "" for name, value in dotenv_values(folder / "home" / "stack.env").items()}
        with closing(Database(variables["LAZARETTO_DATABASE_URL"], timeout=None)) as database:
            yield Installation(folder, variables, url, Processes(process.pid, *beside), database)


@contextmanager
def _started(folder: Path, wishes: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    neutral = {name: os.environ[name] for name in _NEUTRAL if name in os.environ}
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "ops.embedded"],  # whatever ends us, ends it
            cwd=folder,  # where nobody's .env is
            env=neutral | dict(wishes) | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # the terminal's Ctrl-C is ours
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)


def _ready(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Where its API is. Raises `RuntimeError` with what it said where it is not ready in time."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in (folder / "stdout").read_text().splitlines():
            if line.startswith("ready "):
                return line.removeprefix("ready ")
        time.sleep(0.1)
    raise RuntimeError(f"the stack is not ready; it said:\n{tail(folder / 'stderr')}")
