"""The floor's processes: as many as there are cores, each with connections of its own, all the time."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any, NamedTuple

from ops.bench.corpus import File
from ops.bench.factory import leave_interrupts_to_the_parent
from ops.bench.floor import Floor

_SPAWN: SpawnContext = multiprocessing.get_context("spawn")


class Round(NamedTuple):
    """What one round took."""

    seconds: float  # from the first start to the last end
    each: list[float]  # seconds of every file
    processor: float  # seconds of all processes together


@dataclass(frozen=True)
class _Work:
    """What the processes share."""

    next: Any  # a shared integer: the file to be taken next
    together: Any  # a barrier
    clamd: str
    variables: Mapping[str, str]


class Crew:
    """Asked for one round after the other."""

    def __init__(self, members: Sequence[Connection], work: _Work) -> None:
        self._members, self._work = members, work

    @classmethod
    @contextmanager
    def running(cls, clamd: str, variables: Mapping[str, str], processes: int | None = None) -> Iterator[Crew]:
        """Processes that are connected, and ended afterwards. `variables`: the environment in which boto3 finds S3."""
        number = processes or os.cpu_count() or 1
        work = _Work(_SPAWN.Value("i", 0), _SPAWN.Barrier(number), clamd, dict(variables))
        pairs = [_SPAWN.Pipe() for _ in range(number)]
        children = [_SPAWN.Process(target=_serve, args=(theirs, work), daemon=True) for _, theirs in pairs]
        for child in children:
            child.start()
        for _, theirs in pairs:
            theirs.close()
        try:
            yield cls([ours for ours, _ in pairs], work)
        finally:
            work.together.abort()  # nobody waits for one that has died
            for ours, _ in pairs:
                with suppress(OSError):  # it has died
                    ours.send(None)
            for child in children:
                child.join()

    def run(self, files: list[File], *, alone: bool = False) -> Round:
        """All files, each taken by whoever is free; `alone`: by one process, while the others do nothing.

        Raises `RuntimeError` with what went wrong in one of them.
        """
        self._work.next.value = 0
        for at, member in enumerate(self._members):
            member.send([] if alone and at else files)
        results = [member.recv() for member in self._members]
        if faults := [each for each in results if isinstance(each, str)]:
            raise RuntimeError("; ".join(faults))
        seconds = max(end for _, end, _, _ in results) - min(begun for begun, _, _, _ in results)
        return Round(seconds, [one for *_, each, _ in results for one in each], sum(spent for *_, spent in results))


def _serve(parent: Connection, work: _Work) -> None:
    """In each process, until None comes or the parent is gone."""
    leave_interrupts_to_the_parent()
    os.environ |= work.variables
    floor = Floor(work.clamd)
    with work.next.get_lock():  # two would make the same buckets
        floor.warm_up()
    with suppress(EOFError):
        while (files := parent.recv()) is not None:
            parent.send(_round(floor, files, work))


def _round(floor: Floor, files: list[File], work: _Work) -> tuple[float, float, list[float], float] | str:
    try:
        work.together.wait()
        begun, spent, each = time.monotonic(), _processor(), []
        while files and (at := _take(work)) < len(files):
            each.append(floor.seconds(files[at]))
        return begun, time.monotonic(), each, _processor() - spent
    except Exception as fault:  # noqa: BLE001 - whatever it is, the parent tells it
        work.together.abort()
        return f"{type(fault).__name__}: {fault}"


def _take(work: _Work) -> int:
    with work.next.get_lock():
        work.next.value += 1
        return int(work.next.value) - 1


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
