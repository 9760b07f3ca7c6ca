"""How fast files are taken in: one that is large, beside boto3's own upload; many that are small, beside a handler that
does nothing but the S3 put."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ops.bench.bare_boto import BareBoto
from ops.bench.clients import Clients
from ops.bench.factory import Factory
from ops.bench.put_only import PutOnly
from ops.bench.reception import BUCKET, KEY, Reception
from ops.bench.row import Better, Row
from ops.embedded.ports import LOOPBACK, choose
from worker.settings import MIB

LARGE = 1024 * MIB
SMALL = 300  # uploads of a round
CLIENTS = 32
_TARGET = 0.8  # of what boto3 does
_BLOCK = 8 * MIB
_Pairs = list[tuple[float, float]]  # seconds, ours and the floor's


def large(reception: Reception, rounds: int, size: int = LARGE) -> Iterator[Row]:
    """Medians of both, in turns; a gibibyte warms up for itself."""
    path, part_size = reception.folder / "large", int(reception.variables["LAZARETTO_PART_SIZE"])
    _write(path, size)
    pairs: _Pairs = []
    with BareBoto.running(reception.variables, BUCKET, part_size) as bare:
        for _ in range(rounds):
            pairs.append((_seconds(lambda: reception.clients(1).put_large(path)), bare.upload(path)))
            reception.empty()
    path.unlink()
    ours, floor = _medians(pairs)
    name = f"intake: one upload of {size / MIB:g} MiB"
    yield Row(name, size / ours / MIB, "MiB/s", size / floor / MIB, Better.HIGHER, _TARGET)


def small(reception: Reception, factory: Factory, rounds: int, number: int = SMALL) -> Iterator[Row]:
    """The same after a turn that warms both up, with as many clients at once as a busy site has."""
    files = factory.make("pdf", number)
    bare = PutOnly(LOOPBACK, choose(["bare"])["bare"], reception.variables, "bare")
    reception.supervisor.start(bare)
    ours, floor = reception.clients(CLIENTS), Clients(bare.url, KEY, CLIENTS)
    pairs: _Pairs = [(_seconds(lambda: ours.put(files)), _seconds(lambda: floor.put(files))) for _ in range(rounds + 1)]
    taken, least = _medians(pairs[1:])
    name = f"intake: 20 KB uploads, {CLIENTS} clients"
    yield Row(name, number / taken, "requests/s", number / least, Better.HIGHER)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _medians(pairs: _Pairs) -> tuple[float, float]:
    """Of each side."""
    ours, floor = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(floor)


def _write(path: Path, size: int) -> None:
    block = os.urandom(min(_BLOCK, size))
    with path.open("wb") as file:
        for at in range(0, size, len(block)):
            file.write(block[: size - at])
