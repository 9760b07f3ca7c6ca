"""What a file costs while thousands wait in line, in the database and in Redis."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import insert, select

from ops.bench.corpus import File
from ops.bench.installation import Installation
from ops.bench.pipeline import Measured, measuring
from worker import clock
from worker.adapters.task_queue import TaskQueue
from worker.settings import Settings
from worker.store.tables import scans

_AT_ONCE = 1000  # rows of one transaction


class Line:
    """One stack's. Its worker is at work only while it is measured: the line must not get shorter meanwhile.

    Files that are there, a turn of them after the other, come first in line; behind them come those that only wait.
    """

    def __init__(self, site: Installation) -> None:
        self._site = site
        self._turns: list[list[str]] = []
        self._signal(signal.SIGSTOP)

    @classmethod
    @contextmanager
    def of(cls, site: Installation) -> Iterator[Line]:
        """The worker goes on afterwards: what is stopped cannot end."""
        line = cls(site)
        try:
            yield line
        finally:
            line._signal(signal.SIGCONT)

    def put(self, files: list[File]) -> None:
        """To be scanned in a turn."""
        self._turns.append(self._site.clients(8).put(files))

    def lengthen(self, number: int) -> None:
        """So many more, of which each has a row and a task, and no bytes."""
        with self._site.database.read() as connection:
            one = select(scans).where(scans.c.id == self._turns[-1][-1])
            row = dict(connection.execute(one).mappings().one())
        fields: dict[str, Any] = {
            name.removeprefix("LAZARETTO_").lower(): value for name, value in self._site.variables.items()
        }
        with closing(TaskQueue(Settings(_env_file=None, **fields))) as queue:
            for at in range(0, number, _AT_ONCE):
                ids = [clock.new_id() for _ in range(min(_AT_ONCE, number - at))]
                waiting = {"enqueued_at": clock.now(), "source_key": None, "source_etag": None}
                with self._site.database.write() as connection:
                    rows = [row | waiting | {"id": each, "quarantine_key": f"sealed/{each}"} for each in ids]
                    connection.execute(insert(scans), rows)
                for each in ids:
                    queue.enqueue(each)

    def uploaded(self, files: list[File]) -> Measured:
        """What it costs to get in line."""
        with measuring(self._site, len(files)) as measured:
            self._site.clients(8).put(files)
        return measured()

    def scanned(self) -> Measured:
        """What the next turn costs."""
        ids = self._turns.pop(0)
        with measuring(self._site, len(ids)) as measured:
            self._signal(signal.SIGCONT)
            self._site.wait_for(ids)
        self._signal(signal.SIGSTOP)
        return measured()

    def _signal(self, number: signal.Signals) -> None:
        for member in self._site.processes.members():
            if member.kind == "worker":
                os.kill(member.process.pid, number)
        time.sleep(0.1)  # until it is so
