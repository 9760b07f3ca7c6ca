"""A system whose scans can be interfered with anywhere, and the files that it happens to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.failpoints import FILES, SMALL_PART
from tests.system import System
from worker.adapters import object_store

SOME = ("document", "photo", "direct")  # all of them in the long form


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "file" in metafunc.fixturenames:
        names = FILES if metafunc.config.getoption("--torture") else SOME
        metafunc.parametrize("file", [FILES[name] for name in names], ids=names)


@pytest.fixture
def system(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    """With parts small enough for a file of several, and scanners that have been looked at: no canary is an effect
    of a scan."""
    monkeypatch.setattr(object_store, "PART", SMALL_PART)
    monkeypatch.setattr(object_store, "COPY_PART", SMALL_PART)
    smaller = replace(system, settings=system.settings.model_copy(update={"part_size": SMALL_PART}))
    smaller.parts.scanners.check()
    return smaller
