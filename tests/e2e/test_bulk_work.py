"""Bulk work in the whole stack: a worker of its own does it, which steps back behind all others."""

from __future__ import annotations

import os

from lazaretto_client import Lazaretto
from tests import processes
from tests.stack import Stack, until
from worker.canaries import encrypted_zip

PATIENCE = 60  # seconds
FILES = 3
BULK, UPLOADS = "celery -A worker.tasks worker --queues bulk ", "celery -A worker.tasks worker --queues scans "


def _examined_by(lazaretto: Lazaretto, scan_id: str, decision: int) -> int:
    """The process that took the scan for this decision."""
    events = lazaretto.events(scan_id)
    [claim] = [each for each in events if each.target == "scanning" and each.decision == decision]
    return int(claim.actor.rpartition("/")[2])


def test_what_is_put_back_in_bulk_is_done_by_the_worker_that_steps_back(stack: Stack) -> None:
    bulk, uploads = stack.named(BULK), stack.named(UPLOADS)
    assert [os.getpriority(os.PRIO_PROCESS, each) for each in (bulk, uploads)] == [10, 0]
    with Lazaretto(stack.base_url, stack.api_key) as lazaretto:
        ids = [lazaretto.upload(encrypted_zip(), filename="a.zip").id for _ in range(FILES)]
        assert {lazaretto.wait(each, PATIENCE).status for each in ids} == {"unscannable"}
        assert all(_examined_by(lazaretto, each, 1) in processes.family(uploads) for each in ids)
        assert lazaretto.retry_all(ids=ids).count == FILES
        until(lambda: all(lazaretto.get(each).finished_at for each in ids), PATIENCE, "they are examined once more")
        assert {(scan.status, scan.decision) for scan in map(lazaretto.get, ids)} == {("unscannable", 2)}
        assert all(_examined_by(lazaretto, each, 2) in processes.family(bulk) for each in ids)
        lazaretto.retry(ids[0])
        assert lazaretto.wait(ids[0], PATIENCE).decision == 3
        assert _examined_by(lazaretto, ids[0], 3) in processes.family(uploads), "one alone waits behind nobody"
        for each in ids:
            lazaretto.erase(each)
