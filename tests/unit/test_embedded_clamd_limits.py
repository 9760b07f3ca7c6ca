"""The limits of the scanner fit together, and with ours."""

from __future__ import annotations

import resource

import pytest

from ops.embedded.clamd_server import LIMITS
from worker.settings import Settings


@pytest.fixture(scope="module")
def limits() -> dict[str, str]:
    lines = (line for line in LIMITS.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


def test_what_clamd_does_not_see_it_does_not_call_clean(limits: dict[str, str]) -> None:
    assert (limits["AlertExceedsMax"], limits["AlertEncrypted"]) == ("yes", "yes")


def test_good_jpegs_are_not_flagged(limits: dict[str, str]) -> None:
    assert limits["AlertBrokenMedia"] == "no"


def test_clamd_ends_a_scan_before_its_client_gives_up(limits: dict[str, str]) -> None:
    assert int(limits["MaxScanTime"]) / 1000 < Settings(_env_file=None).scan_timeout


def test_memory_does_not_double_when_signatures_are_reloaded(limits: dict[str, str]) -> None:
    assert limits["ConcurrentDatabaseReload"] == "no"


def test_descriptors_suffice_for_every_thread(limits: dict[str, str]) -> None:
    threads, depth, queue = (int(limits[name]) for name in ("MaxThreads", "MaxRecursion", "MaxQueue"))
    assert threads * depth + queue - threads + 6 < min(1024, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def test_where_it_runs_is_left_to_whoever_starts_it(limits: dict[str, str]) -> None:
    assert not limits.keys() & {"LocalSocket", "TCPSocket", "DatabaseDirectory", "TemporaryDirectory", "User"}
