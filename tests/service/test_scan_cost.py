"""What one scan asks of the database, and what its record says of the time that it took."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.system import System
from worker.canaries import eicar
from worker.instruments import Step
from worker.scan import Status
from worker.spent import counting

TEXT = b"Good morning.\n"
_LOOKED_AT = {Step.FETCH, Step.SNIFF, Step.SCAN, Step.INSPECT}


def _png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "filename", "status", "statements"),
    [
        (TEXT, "a.txt", Status.CLEAN, 7),  # each move with its event, and the end with its webhook
        (_png(), "a.png", Status.CLEAN, 7),
        (eicar(), "a.com", Status.INFECTED, 11),  # what was found goes on record with the verdict, and with the end
    ],
    ids=["text", "picture", "malware"],
)
def test_a_scan_takes_three_transactions(
    system: System, data: bytes, filename: str, status: Status, statements: int
) -> None:
    """The claim, the verdict and the end; nothing is read that is not written, and nothing twice."""
    scan = system.upload(data, filename)
    system.parts.scanners.check()  # what is found out about the scanner goes on record, too
    with counting() as tally:
        system.parts.scan(scan.id)
    assert system.scan(scan.id).status is status
    assert (tally.transactions, tally.statements) == (3, statements)


def test_a_task_that_comes_once_more_takes_one_transaction(system: System) -> None:
    scan = system.outcome(TEXT)
    with counting() as tally:
        system.parts.scan(scan.id)
    assert (tally.transactions, tally.statements) == (1, 2)


@pytest.mark.parametrize(
    ("data", "filename", "more"), [(TEXT, "a.txt", set()), (_png(), "a.png", {Step.IMAGE})], ids=["text", "picture"]
)
def test_the_record_tells_what_each_step_took(system: System, data: bytes, filename: str, more: set[Step]) -> None:
    """In milliseconds; also of the scanner, which is at work in a thread of its own."""
    steps = system.outcome(data, filename).steps
    assert steps is not None
    assert steps.keys() == _LOOKED_AT | {Step.SETTLE} | more
    assert all(steps[Step.INSPECT] >= steps[each] > 0 for each in (Step.SCAN, *more)), "it holds them"


def test_the_record_tells_it_of_the_last_attempt(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one that came to nothing, and nothing of those before."""
    scan = system.upload(TEXT)
    assert system.scan(scan.id).steps is None
    with monkeypatch.context() as broken:
        broken.setattr(system.parts.pipeline._settler, "settle", None)
        stopped = system.work(scan.id)
    assert (stopped.status, set(stopped.steps or ())) == (Status.SETTLING, _LOOKED_AT | {Step.SETTLE})
    system.amend(scan.id, lease_until=system.scan(scan.id).created_at)
    ended = system.work(scan.id)
    assert (ended.status, set(ended.steps or ())) == (Status.CLEAN, {Step.FETCH, Step.SETTLE})
