"""Every file of the corpus on its whole way: taken in, scanned by a real worker, and where it is to be afterwards."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import processes
from tests.audit import audit
from tests.corpus import outcomes
from tests.corpus.case import Case
from tests.corpus.families import cases
from tests.corpus.outcomes import Outcome
from tests.crew import Burden, Crew
from tests.kept import SQLiteTemplate
from tests.system import System
from worker.errors import LazarettoError
from worker.scan import PROMOTED, Event, Scan, Status

WORKERS = 2
STUCK_SECONDS = 90  # longer than any one scan may take
WARMED_UP = 3  # the first of so many parts of the corpus fills caches and pools
# Bytes. Measured: 0.5 to 9 MiB, for a part of a large upload (8 MiB) may stay with the allocator. The files are 144 MiB
# together, and decoded some GiB: whatever is kept of each of them shows.
MEMORY_MARGIN = 16 * 1024 * 1024
DESCRIPTOR_MARGIN = 4  # measured: 1, a connection more in a pool


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: SQLiteTemplate) -> str:
    """One kind is enough: what is decided here does not depend on it."""
    return sqlite_template.copied(tmp_path / "lazaretto.db")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where workers put what is too large for memory."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def shop(system: System, scratch: Path) -> Iterator[System]:
    """The system, whose worker has a scratch folder of its own."""
    made = system.with_settings(scratch_dir=scratch)
    yield made
    made.parts.close()
    made.queue.close()


class _Run:
    """The corpus on its way through a system."""

    def __init__(self, system: System, folder: Path) -> None:
        self._system, self._folder = system, folder
        self._cases: dict[str, Case] = {}

    def send(self, case: Case) -> None:
        """Make one file and upload it; the original is kept."""
        data = case.make()
        with suppress(LazarettoError):  # what intake refuses is on record
            self._system.upload(data, case.filename, case.declared)
        scan = self._system.newest()
        self._cases[scan.id] = case
        self._original(scan.id).write_bytes(data)

    def wait(self) -> None:
        """Until every scan has ended or would be tried once more, which is a fault by itself; or none has for long."""
        left, since = len(self._cases) + 1, time.monotonic()
        while still := sum(not scan.status.ended and scan.error is None for scan in self._system.all()):
            if still < left:
                left, since = still, time.monotonic()
            if time.monotonic() - since > STUCK_SECONDS:
                return
            time.sleep(0.2)

    def outcomes(self) -> list[Outcome]:
        """Of all that were sent, family by family."""
        scans = {scan.id: scan for scan in self._system.all()}
        found = [self._outcome(case, scans[scan_id]) for scan_id, case in self._cases.items()]
        return sorted(found, key=lambda each: (each.case.family, each.case.name))

    def _outcome(self, case: Case, scan: Scan) -> Outcome:
        promoted = self._system.read(scan) if scan.status in PROMOTED else None
        wrong = outcomes.faults(case, scan, self._original(scan.id).read_bytes(), promoted)
        return Outcome(case, scan, _seconds(self._system.story(scan.id)), tuple(wrong))

    def _original(self, scan_id: str) -> Path:
        return self._folder / scan_id


@pytest.mark.timeout(900)
def test_every_file_of_the_corpus_has_its_outcome(
    shop: System, s3: dict[str, str], scratch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = list(cases())
    random.Random(0).shuffle(corpus)  # so that every part of it holds some of everything
    begun = time.monotonic()
    originals = tmp_path / "originals"
    originals.mkdir()
    run = _Run(shop, originals)
    with Crew.working(shop.settings, s3, tmp_path / "logs", workers=WORKERS) as crew:
        for case in corpus[: len(corpus) // WARMED_UP]:
            run.send(case)
        run.wait()
        before = crew.burdens()
        for case in corpus[len(corpus) // WARMED_UP :]:
            run.send(case)
        run.wait()
        after, left_open = crew.burdens(), crew.scratch() + processes.open_files(scratch)
    worked = time.monotonic() - begun
    results = run.outcomes()
    unexpected = [str(each) for each in results if each.faults]
    with capsys.disabled():
        print(f"\n{outcomes.table(results)}\nin {worked:.0f} s, judged in {time.monotonic() - begun - worked:.0f} s")
        print(f"slowest: {outcomes.slowest(results, 5)}", _told(before, after), *unexpected, sep="\n")
    assert unexpected == []
    assert audit(shop.database, shop.objects, shop.settings, {}) == []
    assert left_open == []
    assert list(scratch.iterdir()) == []
    assert _grown(before, after) == []


def test_no_two_cases_go_by_one_name() -> None:
    names = [str(case) for case in cases()]
    assert len(names) == len(set(names))


def _grown(before: dict[int, Burden], after: dict[int, Burden]) -> list[str]:
    """Each process that died, or takes up more than it did."""
    wrong = [f"process {pid} has died" for pid in before.keys() - after.keys()]
    for pid in before.keys() & after.keys():
        if after[pid].memory - before[pid].memory > MEMORY_MARGIN:
            wrong.append(f"process {pid} grew from {before[pid].memory} to {after[pid].memory} bytes")
        if after[pid].descriptors - before[pid].descriptors > DESCRIPTOR_MARGIN:
            wrong.append(f"process {pid} had {before[pid].descriptors} descriptors, now {after[pid].descriptors}")
    return wrong


def _told(before: dict[int, Burden], after: dict[int, Burden]) -> str:
    """How much the worst of the processes grew."""
    pairs = [(before[pid], after[pid]) for pid in before.keys() & after.keys()]
    memory = max(late.memory - early.memory for early, late in pairs) / 2**20
    descriptors = max(late.descriptors - early.descriptors for early, late in pairs)
    return f"processes grew by at most {memory:.1f} MiB and {descriptors} descriptors"


def _seconds(story: list[Event]) -> float:
    """From the last claim to the end; 0 where it was never claimed."""
    claimed = [event.at for event in story if event.target is Status.SCANNING]
    return (story[-1].at - claimed[-1]).total_seconds() if claimed else 0.0
