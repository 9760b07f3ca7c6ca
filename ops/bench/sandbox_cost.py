"""What the sandbox costs over the same work in-process: fork, walls, messages and the fresh process's page faults."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator

from ops.bench.in_process import LIMITS, InProcess, Work, memory_file
from ops.bench.pictures import jpeg, png
from ops.bench.row import Better, Row
from worker.sandbox import Sandbox

_ROUNDS = 60  # of each, in turn with its floor, so that both meet the same machine
_WARM_UP = 5
_TARGET = 5.0  # ms
_MIB = 1024 * 1024


_Pairs = list[tuple[float, float]]  # seconds, in the sandbox and in-process


def rows(share: float = 1.0) -> Iterator[Row]:
    """For each picture, telling its type and re-encoding it; and all of that together."""
    measured = dict(_measured(max(1, round(share * _ROUNDS))))
    together = [pair for pairs in measured.values() for pair in pairs]
    for name, pairs in (*measured.items(), ("any of these", together)):
        yield _row(f"sandbox: {name}, over in-process", pairs)


def _measured(rounds: int) -> Iterator[tuple[str, _Pairs]]:
    pictures = {
        "a JPEG of 160x120": ("image/jpeg", jpeg(160, 120)),
        "a PNG of 160x120": ("image/png", png(160, 120)),
        "a JPEG of 800x600": ("image/jpeg", jpeg(800, 600)),
        "a JPEG of 1000x800": ("image/jpeg", jpeg(1000, 800)),
    }
    sandbox = Sandbox(memory=4096 * _MIB, seconds=60, output=512 * _MIB)
    try:
        with InProcess.running() as floor:
            for name, (media_type, data) in pictures.items():
                yield f"sniff {name}", _pairs(sandbox, floor, Work(data), rounds)
                yield f"re-encode {name}", _pairs(sandbox, floor, Work(data, media_type), rounds)
    finally:
        sandbox.close()


def _pairs(sandbox: Sandbox, floor: InProcess, work: Work, rounds: int) -> _Pairs:
    return [(_seconds(sandbox, work), floor.seconds(work)) for _ in range(_WARM_UP + rounds)][_WARM_UP:]


def _row(name: str, pairs: _Pairs) -> Row:
    """Medians in milliseconds."""
    cost = statistics.median(whole - least for whole, least in pairs) * 1000
    floor = statistics.median(least for _, least in pairs) * 1000
    return Row(name, cost, "ms", floor, Better.LOWER, _TARGET, absolute=True)


def _seconds(sandbox: Sandbox, work: Work) -> float:
    source, target = memory_file(work.data), memory_file()
    begun = time.perf_counter()
    if work.media_type:
        sandbox.reencode(source, target, work.media_type, LIMITS)
    else:
        sandbox.sniff(source)
    taken = time.perf_counter() - begun
    os.close(source)
    os.close(target)
    return taken
