"""How a stack stands, at one moment: what may not grow while it works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import redis

from ops.bench.installation import Installation
from worker.lanes import Lane
from worker.settings import MIB

Sample = dict[str, float]  # by name: `memory of api, MiB`
_BLOCK = 512  # bytes; the unit of `st_blocks`, see stat(2)


class Gauge:
    """Takes one sample after the other."""

    def __init__(self, site: Installation, scratch: Path) -> None:
        """`scratch` is where its workers put files."""
        self._site, self._scratch = site, scratch
        self._database = site.database.engine.url.database or ""
        self._redis = redis.Redis.from_url(site.variables["LAZARETTO_REDIS_URL"])

    def close(self) -> None:
        self._redis.close()

    def sample(self) -> Sample:
        """Now. Processes that end meanwhile are left out."""
        taken: dict[str, float] = defaultdict(float)
        for kind, _, process in self._site.processes.members():
            with suppress(psutil.Error, OSError):
                taken[f"memory of {kind}, MiB"] += process.memory_full_info().pss / MIB
                taken[f"open files of {kind}"] += process.num_fds()
                for name, amount in self._held(process.pid):
                    taken[name] += amount
        info = self._redis.info("memory")
        taken["Redis, MiB"] += info["used_memory"] / MIB
        taken["waiting in line"] += sum(self._redis.llen(lane) for lane in Lane)
        taken["scratch, MiB"] += sum(each.stat().st_size for each in self._scratch.iterdir()) / MIB
        return {"database connections": 0.0} | taken

    def _held(self, pid: int) -> Iterator[tuple[str, float]]:
        """Connections to the database, and files without a name, in scratch or in memory."""
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = str(each.readlink())
                if target == self._database:
                    yield "database connections", 1
                elif target.startswith((str(self._scratch), "/memfd:")):
                    yield "scratch, MiB", each.stat().st_blocks * _BLOCK / MIB
