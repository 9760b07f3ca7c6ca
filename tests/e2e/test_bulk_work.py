"""Large files and bulk work in the whole stack: a worker of their own does it, which steps back behind all others."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from lazaretto_client import Lazaretto
from tests import processes
from tests.stack import Stack, until
from worker.canaries import encrypted_zip

PATIENCE = 60  # seconds
FILES = 3
AUTOGROUP = Path("/proc/self/autogroup")
SLOW, UPLOADS = "celery -A worker.tasks worker --queues large,bulk ", "celery -A worker.tasks worker --queues scans "


def _session_niceness(pid: int) -> int:
    """As sched(7) has it: `/autogroup-123 nice 5`."""
    return int(Path(f"/proc/{pid}/autogroup").read_text().rpartition(" ")[2])


def _archive(size: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("noise", os.urandom(size))
    return written.getvalue()


def _examined_by(lazaretto: Lazaretto, scan_id: str, decision: int) -> int:
    """The process that took the scan for this decision."""
    events = lazaretto.events(scan_id)
    [claim] = [each for each in events if each.target == "scanning" and each.decision == decision]
    return int(claim.actor.rpartition("/")[2])


def test_what_is_put_back_in_bulk_is_done_by_the_worker_that_steps_back(stack: Stack) -> None:
    slow, uploads = stack.named(SLOW), stack.named(UPLOADS)
    assert [os.getpriority(os.PRIO_PROCESS, each) for each in (slow, uploads)] == [5, 0]
    if AUTOGROUP.exists():  # else there is only the one
        assert [_session_niceness(each) for each in (slow, uploads)] == [5, 0]
    with Lazaretto(stack.base_url, stack.api_key) as lazaretto:
        ids = [lazaretto.upload(encrypted_zip(), filename="a.zip").id for _ in range(FILES)]
        assert {lazaretto.wait(each, PATIENCE).status for each in ids} == {"unscannable"}
        assert all(_examined_by(lazaretto, each, 1) in processes.family(uploads) for each in ids)
        assert lazaretto.retry_all(ids=ids).count == FILES
        until(lambda: all(lazaretto.get(each).finished_at for each in ids), PATIENCE, "they are examined once more")
        assert {(scan.status, scan.decision) for scan in map(lazaretto.get, ids)} == {("unscannable", 2)}
        assert all(_examined_by(lazaretto, each, 2) in processes.family(slow) for each in ids)
        lazaretto.retry(ids[0])
        assert lazaretto.wait(ids[0], PATIENCE).decision == 3
        assert _examined_by(lazaretto, ids[0], 3) in processes.family(uploads), "one alone waits behind nobody"
        for each in ids:
            lazaretto.erase(each)


def test_an_archive_that_takes_its_time_is_left_to_the_worker_that_steps_back(stack: Stack) -> None:
    slow, uploads = stack.named(SLOW), stack.named(UPLOADS)
    with Lazaretto(stack.base_url, stack.api_key) as lazaretto:
        large = lazaretto.upload(_archive(int(stack.env["LAZARETTO_LARGE_SIZE"])), filename="large.zip").id
        small = lazaretto.upload(_archive(1000), filename="small.zip").id
        assert {lazaretto.wait(each, PATIENCE).status for each in (large, small)} == {"clean"}
        assert _examined_by(lazaretto, large, 1) in processes.family(slow)
        assert _examined_by(lazaretto, small, 1) in processes.family(uploads)
