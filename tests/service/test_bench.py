"""The benchmarks, with next to nothing to measure: every row is there, nothing is left behind. Speed is not judged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.bench import growth, soak
from ops.bench.__main__ import Effort, measured
from ops.bench.report import Profile, show, show_profile, write
from ops.bench.row import Row
from tests import processes

pytestmark = pytest.mark.timeout(600)
MIB = 2**20
FEW = Effort(
    rounds=1,
    share=0.01,
    latency_files=2,
    archives=20,
    rescans=20,
    large=6 * MIB,
    small=4,
    waiters=2,
    sizes={"1 MB": (10**6, 1)},
    pictures=((64, 48),),
)
PROMISED = {  # the beginnings of the names, and what is wanted of them
    "pipeline: 2 KB text": 0.5,
    "pipeline: 20 KB PDF": 0.5,
    "pipeline: 200 KB JPEG": 0.85,
    "pipeline: 5 MB zip": 0.85,
    "pipeline: a realistic mix": 0.5,
    "latency: 20 KB PDF, p50": 2.5,
    "latency: 20 KB PDF, p99": 6.0,
    "lanes: 20 KB PDF behind 20 zips of 5 MB and 20 rescans, p50": 3.0,
    "lanes: 20 KB PDF behind 20 zips of 5 MB and 20 rescans, p99": 3.0,
    "intake: one upload": 0.8,
    "intake: 20 KB uploads, 32 clients": None,
    "images: all of these": 0.85,
    "memory: API, 1 MB": 64,
    "memory: worker, main, 1 MB": 64,
    "memory: worker, pool, 1 MB": 64,
    "memory: sandbox, 1 MB": 64,
    "memory: sandbox, children, 1 MB": 64,
    "memory: sweeper, 1 MB": 64,
}


@contextmanager
def nothing_left() -> Iterator[None]:
    """What the block has started has ended when it ends, but for Python's own tracker of shared memory."""
    before = processes.family(os.getpid())
    yield
    left = [processes.command(pid) for pid in processes.family(os.getpid()) - before]
    assert not [each for each in left if "resource_tracker" not in each]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return {}


@pytest.fixture(scope="module")
def rows(profile: Profile) -> list[Row]:
    with nothing_left():
        return list(measured(FEW, profile))


def test_every_promised_row_is_there(rows: list[Row]) -> None:
    targets = {row.name: row.target for row in rows}
    for start, target in PROMISED.items():
        assert [each for name, each in targets.items() if name.startswith(start)] == [target], start


def test_every_row_has_what_is_written_of_it(rows: list[Row], profile: Profile, tmp_path: Path) -> None:
    write(tmp_path / "new" / "bench.json", [row.record() for row in rows])
    for record in json.loads((tmp_path / "new" / "bench.json").read_text()):
        assert list(record) == ["name", "value", "unit", "floor", "ratio", "target", "met"]
        assert record["value"] >= 0
        assert record["floor"] > 0
        assert record["ratio"] == pytest.approx(record["value"] / record["floor"], abs=0.01, rel=0.01)
        assert (record["met"] is None) == (record["target"] is None)
    assert {row.name for row in rows if row.name.startswith("pipeline")} == profile.keys()


def test_the_profile_tells_both_sides(rows: list[Row], profile: Profile, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows
    for side, kinds in (("ours", {"api", "worker", "sandbox", "store"}), ("floor", {"calls", "store"})):
        assert kinds <= {kind for sides in profile.values() for kind in sides[side]}
    show(rows)
    show_profile(profile)
    assert "pipeline: 2 KB text" in capsys.readouterr().out


def test_growth_is_measured_beside_what_it_grew_from(tmp_path: Path) -> None:
    effort = growth.Effort(
        workers=(), kinds=("sqlite",), scans=(100,), queued=20, rounds=1, files=4, home=tmp_path / "home"
    )
    with nothing_left():
        found = {row.name: row for row in growth.measured(effort)}
    variants = ("sqlite, 100 rows", "20 in line, upload", "20 in line, scan")
    assert found.keys() == {f"growth: {name}{end}" for name in variants for end in ("", ", cost")}
    assert {row.target for name, row in found.items() if name.endswith(", cost")} == {1.1}


def test_the_soak_serves_good_and_bad_files_and_samples_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with nothing_left():
        found = soak.soaked(6, peak_seconds=3, every=1)
    assert not found.faults
    assert len(found.samples) == 6
    named = {name for name, *_ in found.lines()}
    assert {"memory of api, MiB", "open files of worker", "database connections", "scratch, MiB"} <= named
    assert {"latency p50, ms", "latency p99, ms", "waiting in line", "Redis, MiB"} <= named
    soak.show(found)
    assert "0 files did not end as they should" in capsys.readouterr().out
