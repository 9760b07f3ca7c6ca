"""More than the whole stack can take: some are sent away for a while, and in the end every file is examined once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lazaretto_client import Lazaretto
from tests import processes
from tests.stack import Stack, until

MOST = 20  # that may wait
UPLOADS = 60  # at once
PATIENCE = 120  # seconds
WORKERS = ("celery -A worker.tasks worker --queues scans ", "celery -A worker.tasks worker --queues large,bulk ")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("crowded")
    with Stack.started(folder, development_signatures, LAZARETTO_MAX_WAITING=str(MOST)) as running:
        yield running


def _workers(stack: Stack) -> list[int]:
    return [pid for each in WORKERS for pid in processes.family(stack.named(each))]


def _sent_away(stack: Stack) -> bool:
    return "uploads_turned_away" in (stack.home / "logs" / "api.log").read_text()


def test_whoever_is_sent_away_comes_back_and_no_file_is_lost(crowded: Stack) -> None:
    with (
        Lazaretto(crowded.base_url, crowded.api_key, retries=20) as lazaretto,
        ThreadPoolExecutor(UPLOADS) as pool,
    ):
        with processes.standing_still(_workers(crowded)):
            files = [f"file {number}".encode() for number in range(UPLOADS)]
            uploads = [pool.submit(lazaretto.upload, data, filename="a.txt") for data in files]
            until(lambda: _sent_away(crowded), PATIENCE, "a word of those who are sent away")
            until(lambda: sum(each.done() for each in uploads) == MOST, PATIENCE, "the others are in line")
            assert len(crowded.keys("quarantine")) == MOST
        ids = {each.result(PATIENCE).id for each in uploads}
        assert len(ids) == UPLOADS
        assert {lazaretto.wait(each, PATIENCE).status for each in ids} == {"clean"}
        until(lambda: not crowded.keys("quarantine"), PATIENCE, "an empty quarantine")
        assert len(crowded.keys("clean")) == UPLOADS
        assert {scan.id for scan in lazaretto.scans()} == ids, "nothing is on record of those who were sent away"
