"""The client against the whole stack, as a programmer of another service uses it."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lazaretto_client import Lazaretto, Problem
from ops.samples.photo import photo
from tests.stack import Stack
from worker.canaries import eicar

PATIENCE = 60  # seconds
NAMES = ["a b.txt", "ä?#%41&.txt", 'quo"te.txt', "back\\slash.txt", "..", "文件.txt", "../../etc/passwd.txt"]
LARGE = 300_000_000  # bytes
MOST_MEMORY = 20_000_000  # bytes that sending them may take on top; a piece is 256 KiB


@pytest.fixture(scope="module")
def lazaretto(stack: Stack) -> Iterator[Lazaretto]:
    with Lazaretto(stack.base_url, stack.api_key) as client:
        yield client


def test_from_upload_to_download(lazaretto: Lazaretto, tmp_path: Path) -> None:
    path, clean = tmp_path / "photo.jpg", tmp_path / "clean.jpg"
    path.write_bytes(photo())
    accepted = lazaretto.upload(path, metadata={"user": 7})
    assert (accepted.filename, accepted.ended, accepted.passed) == ("photo.jpg", False, False)
    scan = lazaretto.wait(accepted.id, PATIENCE)
    assert (scan.status, scan.passed, scan.metadata) == ("clean", True, {"user": 7})
    assert lazaretto.download(scan.id, clean) == scan
    assert scan.promoted is not None
    assert clean.stat().st_size == scan.promoted.size
    assert b"GPS" not in clean.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["clean.jpg", "photo.jpg"]
    steps = [(step.source, step.target) for step in lazaretto.events(scan.id)]
    assert steps[0] == (None, "receiving")
    assert steps[-1] == ("settling", "clean")


def test_a_direct_upload_comes_to_the_same(lazaretto: Lazaretto, tmp_path: Path) -> None:
    path, clean = tmp_path / "photo.jpg", tmp_path / "clean.jpg"
    path.write_bytes(photo())
    accepted = lazaretto.upload_direct(path, metadata={"user": 7}, idempotency_key=(key := secrets.token_hex(16)))
    scan = lazaretto.wait(accepted.id, PATIENCE)
    assert (scan.status, scan.filename, scan.metadata) == ("clean", "photo.jpg", {"user": 7})
    lazaretto.download(scan.id, clean)
    assert b"GPS" not in clean.read_bytes()
    assert lazaretto.upload_direct(path, metadata={"user": 7}, idempotency_key=key).id == scan.id
    with pytest.raises(Problem) as refused:
        lazaretto.enqueue("incoming/somebody-else/a.jpg")
    assert (refused.value.status, refused.value.code) == (404, "object_not_found")


def test_what_is_infected_says_so(lazaretto: Lazaretto) -> None:
    scan = lazaretto.wait(lazaretto.upload(eicar(), filename="a.txt").id, PATIENCE)
    assert (scan.status, scan.passed, [reason.code for reason in scan.reasons]) == (
        "infected",
        False,
        ["signature_found"],
    )
    with pytest.raises(Problem) as refused:
        lazaretto.download(scan.id, io.BytesIO())
    assert (refused.value.status, refused.value.code) == (410, "deleted")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("metadata", [None, {}])
def test_a_name_arrives_as_it_is(lazaretto: Lazaretto, name: str, metadata: dict[str, int] | None) -> None:
    assert lazaretto.upload(b"hello", filename=name, metadata=metadata).filename == name


def test_all_pages(lazaretto: Lazaretto) -> None:
    begun = datetime.now(UTC) - timedelta(seconds=1)
    sent = [lazaretto.wait(lazaretto.upload(secrets.token_hex(4).encode(), filename="p.txt").id).id for _ in range(5)]
    found = [scan.id for scan in lazaretto.scans(ids=sent, status=["clean", "failed"], since=begun, limit=2)]
    assert found == sent[::-1]
    assert list(lazaretto.scans(ids=sent, status="failed")) == []
    assert lazaretto.page(ids=sent, limit=2).next_cursor == sent[3]


def test_erased_is_gone(lazaretto: Lazaretto) -> None:
    scan = lazaretto.wait(lazaretto.upload(b"hello", filename="gone.txt").id, PATIENCE)
    lazaretto.erase(scan.id)
    lazaretto.erase(scan.id)
    assert lazaretto.get(scan.id).status == "erased"


def test_another_key_is_refused(stack: Stack) -> None:
    with Lazaretto(stack.base_url, "not-a-key") as stranger, pytest.raises(Problem) as refused:
        stranger.upload(b"x", filename="x.txt")
    assert (refused.value.status, refused.value.code, refused.value.retryable) == (401, "unauthorized", False)


def test_a_large_file_takes_no_memory(stack: Stack) -> None:
    """Sent by a process of its own, so that nothing else is measured; sparse, so that it takes no disk here."""
    program = f"""
import resource, sys
from lazaretto_client import Lazaretto, Problem
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
with Lazaretto({stack.base_url!r}, {stack.api_key!r}) as lazaretto:
    lazaretto.upload(b"warm", filename="warm.txt")
    before = peak()
    scan = lazaretto.upload(sys.argv[1], filename="large.bin")
    print(peak() - before)
    lazaretto.erase(scan.id)
"""
    with tempfile.NamedTemporaryFile() as file:
        os.truncate(file.name, LARGE)
        done = subprocess.run(
            [sys.executable, "-c", program, file.name], capture_output=True, check=True, timeout=PATIENCE
        )
    assert int(done.stdout) < MOST_MEMORY
