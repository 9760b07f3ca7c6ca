"""Small files that promise much cost the sandbox little: those of the corpus that say how long they may take."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests import images
from tests.corpus.case import Case
from tests.corpus.families import cases
from worker import media_types
from worker.policy_file import PolicyFile
from worker.sandbox import ImageLimits, Sandbox
from worker.settings import Settings

_DEFAULTS = Settings.model_construct()
_POLICY = PolicyFile.load(_DEFAULTS.policy_file).default
_TRIES = 3  # a machine that is busy with something else only ever makes it slower
_BOMBS = [case for case in cases() if case.seconds is not None]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """As a worker has it."""
    sandbox = Sandbox(
        memory=_DEFAULTS.sandbox_memory, seconds=_DEFAULTS.sandbox_seconds, output=_DEFAULTS.sandbox_output
    )
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize("case", _BOMBS, ids=map(str, _BOMBS))
def test_a_bomb_is_seen_through_in_time(sandbox: Sandbox, case: Case) -> None:
    assert case.seconds is not None
    data = case.make()
    images.sniff(sandbox, b"x")  # so that the server runs
    taken: list[float] = []
    while len(taken) < _TRIES and min(taken, default=case.seconds) >= case.seconds:
        begun = time.monotonic()
        _look(sandbox, data)
        taken.append(time.monotonic() - begun)
    assert min(taken) < case.seconds


def _look(sandbox: Sandbox, data: bytes) -> None:
    """What the worker asks the sandbox about it."""
    detected = images.sniff(sandbox, data)
    if media_types.is_image(detected):
        images.remake(sandbox, data, detected, ImageLimits(_POLICY.max_pixels, _POLICY.max_frames))
