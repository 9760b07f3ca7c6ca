"""Broken files of every type through inspection, as the worker does it: whatever they are, there is a verdict.

`make fuzz` looks at many more, and at other ones each time.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import SecretStr

from tests.corpus import likeness
from tests.corpus.case import Case
from tests.corpus.families import cases
from tests.mutations import mutants
from worker import clock, media_types, migrations
from worker.adapters.object_store import ObjectStore
from worker.assembly import make_sandbox
from worker.decide import decide
from worker.inspect import Inspection, Inspector
from worker.policy_file import PolicyFile
from worker.scan import Scan, Status
from worker.scratch import Scratch
from worker.settings import Settings
from worker.tasks import Parts

_POLICY = PolicyFile.load(Settings.model_fields["policy_file"].default).default
_LARGEST_SEED = 32 * 1024  # bytes
_FEW_SEEDS, _MOST_SEEDS = 5, 50  # of one type
_SANDBOX_SECONDS = 10.0
_SHARE = {True: 40, False: 12}  # examples of an image, and of any other type; only images are decoded


@pytest.fixture(scope="module")
def inspector(
    objects: ObjectStore, clamd_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Inspector]:
    """A worker's, with the real scanner and a sandbox that is not patient."""
    folder = tmp_path_factory.mktemp("fuzzing")
    settings = Settings(
        _env_file=None,
        home=folder,
        database_url=SecretStr(f"sqlite:///{folder / 'lazaretto.db'}"),
        clamd=(clamd_address,),
        sandbox_seconds=_SANDBOX_SECONDS,
    )
    parts = Parts(settings, objects, make_sandbox(settings))
    migrations.upgrade(parts.database)
    yield parts.pipeline._inspector
    parts.close()


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Counter[str]]:
    """How many files were clean, or not, and why; `make fuzz` shows it."""
    counted: Counter[str] = Counter()
    yield counted
    print(
        f"\n{counted.total()} broken files", *(f"{count:8} {what}" for what, count in counted.most_common()), sep="\n"
    )


@cache
def _ordinary() -> dict[str, list[Case]]:
    """The clean cases of the corpus by type, in an order that mixes families; sizes are somebody else's matter."""
    found: dict[str, list[Case]] = {}
    for case in cases():
        if case.status is Status.CLEAN and case.type in _POLICY.types and case.family != "sizes":
            found.setdefault(case.type, []).append(case)
    for each in found.values():
        random.Random(0).shuffle(each)
    return found


@cache
def _seeds(media_type: str, most: int) -> list[bytes]:
    made = (case.make() for case in _ordinary()[media_type])
    return list(islice((data for data in made if len(data) <= _LARGEST_SEED), most))


def test_every_type_is_fuzzed() -> None:
    assert _POLICY.types - _ordinary().keys() == set()


@pytest.mark.timeout(0)  # as long as it is told to
@pytest.mark.parametrize("media_type", sorted(_POLICY.types))
def test_a_broken_file_gets_a_verdict(
    inspector: Inspector, verdicts: Counter[str], media_type: str, request: pytest.FixtureRequest
) -> None:
    times = int(request.config.getoption("--fuzz"))
    examples = _SHARE[media_types.is_image(media_type)] * max(1, times)
    seeds = _seeds(media_type, _MOST_SEEDS if times else _FEW_SEEDS)
    others = [data for each in sorted(_ordinary()) for data in _seeds(each, 1)]

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=not times,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(mutants(seeds, others))
    def prove(data: bytes) -> None:
        _prove(inspector, data, verdicts)

    prove()


def _prove(inspector: Inspector, data: bytes, verdicts: Counter[str]) -> None:
    """There is a verdict, in time; and what it would promote can be shown."""
    begun = time.monotonic()
    with Scratch(len(data), memory_limit=len(data), directory=None) as file:
        file.write(data)
        file.freeze()
        inspection = inspector.inspect(file, _scan(), _POLICY)
        status, reasons = decide(_POLICY, inspection.findings)
        verdicts[", ".join(sorted({reason.code for reason in reasons})) or status.value] += 1
        assert status is Status.CLEAN or reasons
        _look_at_picture(inspection, status)
    assert time.monotonic() - begun < 3 * _SANDBOX_SECONDS  # sniffed, re-encoded, sniffed


def _look_at_picture(inspection: Inspection, status: Status) -> None:
    picture = inspection.picture
    if picture is None:
        assert status is not Status.CLEAN or not media_types.is_image(inspection.findings.detected_type)
        return
    with picture.file as file, file.reader() as reader:
        if status is Status.CLEAN:
            assert likeness.shown(reader.read()).frames


def _scan() -> Scan:
    """An upload of which nothing is known."""
    now = clock.now()
    return Scan("fuzz", "default", Status.SCANNING, "upload", None, now, now)
