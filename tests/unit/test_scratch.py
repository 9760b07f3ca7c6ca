"""Scratch: the same from memory and from disk; frozen means frozen; nothing stays behind."""

from __future__ import annotations

import hashlib
import mmap
import os
from contextlib import suppress
from pathlib import Path

import pytest

from worker.errors import ScratchChanged
from worker.scratch import Scratch, ScratchFull

DATA = os.urandom(100_000)


@pytest.fixture(params=[1_000_000, 0], ids=["memory", "disk"])
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    return Scratch(len(DATA), memory_limit=request.param, directory=tmp_path)


def test_what_was_written_is_there_and_hashed(scratch: Scratch) -> None:
    with scratch:
        scratch.write(DATA[:10])
        scratch.write(DATA[10:])
        scratch.freeze()
        assert scratch.size == len(DATA)
        assert scratch.sha256() == hashlib.sha256(DATA).hexdigest()
        with scratch.reader() as once, scratch.reader() as again:
            assert once.read() == again.read() == DATA


def test_a_frozen_file_cannot_be_changed_through_its_descriptor(scratch: Scratch) -> None:
    with scratch:
        scratch.write(DATA)
        scratch.freeze()
        with pytest.raises(OSError, match=r"Bad file descriptor|Operation not permitted"):
            os.pwrite(scratch.descriptor, b"x", 0)


def test_what_another_process_wrote_is_frozen_for_that_process_too(scratch: Scratch) -> None:
    """A hijacked decoder may leave somebody behind who holds its descriptor."""
    scratch.write(DATA)
    theirs = os.dup(scratch.descriptor)
    with scratch, os.fdopen(theirs, "wb", buffering=0) as decoder:
        scratch.freeze(shared=True)
        with suppress(PermissionError):
            decoder.seek(0)
            decoder.write(b"x")
        with scratch.reader() as file:
            assert file.read() == DATA


def test_nothing_has_a_name(scratch: Scratch, tmp_path: Path) -> None:
    with scratch:
        scratch.write(DATA)
        assert list(tmp_path.iterdir()) == []


def test_a_memory_file_cannot_be_changed_by_reopening_it() -> None:
    with Scratch(len(DATA), memory_limit=len(DATA), directory=None) as file:
        file.write(DATA)
        file.freeze()
        with pytest.raises(PermissionError), Path(f"/proc/self/fd/{file.descriptor}").open("r+b", buffering=0) as again:
            again.write(b"x")


def test_a_full_disk_is_transient() -> None:
    with Scratch(1, memory_limit=1, directory=None) as file:
        file.freeze()
        with pytest.raises(ScratchFull) as caught:
            file.write(b"x")
    assert not caught.value.counts


def test_what_somebody_still_maps_for_writing_cannot_be_frozen() -> None:
    with Scratch(len(DATA), memory_limit=len(DATA), directory=None) as scratch:
        scratch.write(DATA)
        with mmap.mmap(scratch.descriptor, len(DATA)), pytest.raises(ScratchChanged, match="somebody else"):
            scratch.freeze(shared=True)
        scratch.freeze(shared=True)
        assert scratch.sha256() == hashlib.sha256(DATA).hexdigest()
