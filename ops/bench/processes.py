"""What the processes of a stack cost, by what they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import psutil

# What is in a command line, and what such a process is; others are what their parent is.
_KINDS = {
    "api.app": "api",
    "--queues scans": "worker",
    "worker.tasks": "slow worker",
    "worker.notifier": "notifier",
    "worker.sandbox": "sandbox",
    "lazaretto sweep": "sweeper",
    "weed": "store",
    "clamd": "clamd",
    "redis-server": "redis",
    "postgres": "postgresql",
}
_FIRST = "supervisor"


class Member(NamedTuple):
    """One process. `leads`: it is the first of its kind, and was started by another."""

    kind: str
    leads: bool
    process: psutil.Process


class Processes:
    """A stack's first process, and all that descend from it; and servers that were started beside it."""

    def __init__(self, root: int, *others: int) -> None:
        self._roots = [psutil.Process(each) for each in (root, *others)]

    def members(self) -> Iterator[Member]:
        """All that run now."""
        children: dict[int, list[psutil.Process]] = {}
        for each in (child for root in self._roots for child in root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                children.setdefault(each.ppid(), []).append(each)
        waiting = [Member(_kind(root) or _FIRST, True, root) for root in self._roots]
        while waiting:
            yield (member := waiting.pop())
            for child in children.get(member.process.pid, ()):
                kind = _kind(child) or member.kind
                waiting.append(Member(kind, kind != member.kind, child))

    def seconds(self) -> Counter[str]:
        """Processor time until now of each kind, those that have ended included."""
        spent: Counter[str] = Counter()
        for kind, _, process in self.members():
            with suppress(psutil.NoSuchProcess):
                spent[kind] += sum(process.cpu_times()[:4])  # its own, and that of the children that it waited for
        return spent


def _kind(process: psutil.Process) -> str | None:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        line = " ".join(process.cmdline())
        return next((kind for part, kind in _KINDS.items() if part in line), None)
    return None
