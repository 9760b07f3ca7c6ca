"""`python -m ops.bench.bulk_retry [NUMBER]`: thousands of failed files put back in the stack that LAZARETTO_HOME names.

The command is killed in the middle and repeated: each file must be back exactly once. Meanwhile uploads are timed, from
their first byte to their outcome, before and during. Fills that stack: not one that anybody needs.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import insert, select

from lazaretto_client import Lazaretto
from ops.bench.row import Better, Row
from ops.cli import client, installation, records
from ops.embedded.programs import ours
from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.lanes import Lane
from worker.scan import Status
from worker.settings import load
from worker.store.database import Database
from worker.store.tables import events, scans

NUMBER = 10_000
_TIMED = 40  # uploads, each way
_MOST = 1.5  # times what an upload takes while there is no bulk work
_FEW = 500  # rows of one transaction
_DATA = b"a line of text\n" * 10
_BACK = "tried again, with others"


def rows(number: int) -> Iterator[Row]:
    """Medians in milliseconds, one upload after the other."""
    installation.find()
    with client.connect() as lazaretto, records.database() as database:
        floor = statistics.median(_seconds(lazaretto, _TIMED)) * 1000
        lost = _lose(database, _outcome(lazaretto), number)
        print(f"{number} failed; put back by a command that is killed, and repeated", flush=True)
        _kill_in_the_middle(database, lost)
        begun = time.monotonic()
        _command().communicate()
        print(f"the rest is back after {time.monotonic() - begun:.1f} s", flush=True)
        value = statistics.median(_seconds(lazaretto, _TIMED)) * 1000
        counted, left = _times_back(database), _waiting(database)
    wrong = [each for each in lost if counted[each] != 1]
    if wrong or not left:
        raise SystemExit(f"{len(wrong)} are not back exactly once; {left} were waiting at the end of the measurement")
    print(f"each is back exactly once; {left} still waited when the last upload was timed")
    yield Row(f"an upload while {number} are put back", value, "ms", floor, Better.LOWER, _MOST)


def _seconds(lazaretto: Lazaretto, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        _outcome(lazaretto)
        taken.append(time.perf_counter() - begun)
    return taken


def _outcome(lazaretto: Lazaretto) -> str:
    scan = lazaretto.wait(lazaretto.upload(_DATA + os.urandom(8).hex().encode(), filename="a.txt").id)
    if scan.status != "clean":
        raise SystemExit(f"{scan.id} is {scan.status}, expected clean")
    return scan.id


def _lose(database: Database, template: str, number: int) -> set[str]:
    """So many scans that failed, with their bytes; all else as of one that is there."""
    settings = load()
    objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)
    ids = [clock.new_id() for _ in range(number)]
    with ThreadPoolExecutor(16) as pool:
        etags = list(pool.map(lambda each: objects.put(settings.quarantine_bucket, f"sealed/{each}", _DATA), ids))
    with database.read() as connection:
        row = dict(connection.execute(select(scans).where(scans.c.id == template)).mappings().one())
    row |= {"status": "failed", "etag": etags[0], "size": len(_DATA), "finished_at": clock.now(), "tidy_at": None}
    row |= {"promoted": None, "sha256": hashlib.sha256(_DATA).hexdigest(), "verdict": None}
    for at in range(0, number, _FEW):
        some = ids[at : at + _FEW]
        with database.write() as connection:
            connection.execute(insert(scans), [row | {"id": each, "quarantine_key": f"sealed/{each}"} for each in some])
    return set(ids)


def _command() -> subprocess.Popen[bytes]:
    return subprocess.Popen([ours("lazaretto"), "scans", "retry", "--status", "failed", "--yes"], stdout=sys.stderr)


def _kill_in_the_middle(database: Database, lost: set[str]) -> None:
    with _command() as command:
        while len(_times_back(database)) < len(lost) / 3:
            time.sleep(0.1)
        command.kill()
    print(f"killed when {len(_times_back(database))} were back", flush=True)


def _times_back(database: Database) -> Counter[str]:
    with database.read() as connection:
        return Counter(connection.execute(select(events.c.scan_id).where(events.c.reason == _BACK)).scalars())


def _waiting(database: Database) -> int:
    waiting = select(scans.c.id).where(scans.c.status == Status.QUEUED.value, scans.c.lane == Lane.BULK.value)
    with database.read() as connection:
        return len(connection.execute(waiting).all())


if __name__ == "__main__":
    for measured in rows(int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER):
        print(f"{measured.name}: {measured.value:.0f} ms against {measured.floor:.0f} ms, {measured.ratio:.2f} times")
