"""A worker with its processes, on a test's own system; and what it takes up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ops.embedded.application import worker
from ops.embedded.supervisor import Supervisor
from tests import processes
from tests.stack import until
from worker.lanes import Lane
from worker.settings import Settings

_START_SECONDS = 30
_SANDBOX = "worker.sandbox.server"  # in the command line of a fork server


class Burden(NamedTuple):
    """What one process takes up."""

    memory: int  # bytes
    descriptors: int


class Crew:
    """Started by `working`."""

    def __init__(self, supervisor: Supervisor, processes_wanted: int) -> None:
        self._supervisor, self._wanted = supervisor, processes_wanted

    @classmethod
    @contextmanager
    def working(cls, settings: Settings, s3: Mapping[str, str], logs: Path, *, workers: int) -> Iterator[Crew]:
        """A worker of so many processes, under the settings of a system; stopped afterwards."""
        with Supervisor(logs, say=print) as supervisor:
            crew = cls(supervisor, workers)
            supervisor.start(worker(workers, _variables(settings) | dict(s3), lanes=Lane))
            until(lambda: len(crew.members) == workers, _START_SECONDS, "a worker with all its processes")
            yield crew

    @property
    def main(self) -> int | None:
        """The process that takes messages and hands them to the members."""
        return self._supervisor.pid("worker")

    @property
    def members(self) -> frozenset[int]:
        """The processes that run scans: the parents of the sandboxes."""
        main = self._supervisor.pid("worker")
        family = processes.family(main) - {main} if main else set()
        return frozenset(pid for pid in family if "celery" in processes.command(pid))

    @property
    def sandboxes(self) -> frozenset[int]:
        """The fork servers; their children go by the same command line, and come and go."""
        main = self._supervisor.pid("worker")
        family = processes.family(main) if main else ()
        named = {pid for pid in family if _SANDBOX in processes.command(pid)}
        return frozenset(pid for pid in named if processes.parent(pid) not in named)

    def burdens(self) -> dict[int, Burden]:
        """Of every member and every sandbox."""
        pids = self.members | self.sandboxes
        return {pid: Burden(processes.memory(pid), len(processes.descriptors(pid))) for pid in pids}

    def scratch(self) -> list[str]:
        """The files that members hold for a scan; none where no scan runs."""
        held = [link for pid in self.members for link in processes.descriptors(pid)]
        return [link for link in held if link.startswith("/memfd:lazaretto")]


def _variables(settings: Settings) -> dict[str, str]:
    return {
        "LAZARETTO_HOME": str(settings.home),
        "LAZARETTO_DATABASE_URL": settings.database_url.get_secret_value(),
        "LAZARETTO_REDIS_URL": settings.redis_url.get_secret_value(),
        "LAZARETTO_QUARANTINE_BUCKET": settings.quarantine_bucket,
        "LAZARETTO_CLEAN_BUCKET": settings.clean_bucket,
        "LAZARETTO_CLAMD": ",".join(settings.clamd),
        "LAZARETTO_SCRATCH_DIR": str(settings.scratch_dir),
        "LAZARETTO_MEMORY_LIMIT": str(settings.memory_limit),
        "LAZARETTO_STOP_SECONDS": "1",
    }
