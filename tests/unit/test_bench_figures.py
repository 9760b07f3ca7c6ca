"""How the figures of benchmarks are judged."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest

from ops.bench import corpus
from ops.bench.latency import percentile
from ops.bench.row import Better, Row
from ops.bench.soak import Soak


@pytest.mark.parametrize(
    ("value", "better", "met"),
    [
        (50.0, Better.HIGHER, True),
        (49.0, Better.HIGHER, False),
        (50.0, Better.LOWER, True),
        (51.0, Better.LOWER, False),
    ],
)
def test_a_ratio_is_judged_from_its_better_side(value: float, better: Better, met: bool) -> None:
    row = Row("row", value, "files/s", 100.0, better, 0.5)
    assert row.met is met
    figures = {"value": value, "unit": "files/s", "floor": 100.0, "ratio": value / 100}
    assert row.record() == {"name": "row"} | figures | {"target": 0.5, "met": met}


def test_an_absolute_target_is_for_the_value() -> None:
    assert Row("row", 63.0, "MiB", 1.0, Better.LOWER, 64, absolute=True).met
    assert not Row("row", 65.0, "MiB", 100.0, Better.LOWER, 64, absolute=True).met


def test_a_row_says_which_way_is_better() -> None:
    assert Row("row", 1.0, "ms", 1.0, Better.LOWER, 2.5).wanted == "<= 2.5"
    assert Row("row", 1.0, "MiB", 1.0, Better.LOWER, 64, absolute=True).wanted == "<= 64 MiB"
    assert Row("row", 1.0, "files/s", 1.0, Better.HIGHER).wanted == "higher is better"
    assert Row("row", 1.0, "files/s", 1.0, Better.HIGHER).met is None


def test_what_has_no_floor_is_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        Row("row", 1.0, "ms", 0.0, Better.LOWER).record()


def test_percentiles_are_nearest_ranks() -> None:
    seconds = [float(each) for each in range(100, 0, -1)]
    assert percentile(seconds, 0.5) == 50
    assert percentile(seconds, 0.99) == 99
    assert percentile([7.0], 0.99) == 7


def test_what_grew_is_named_and_what_may_grow_is_not_judged() -> None:
    growing = [{"memory of api, MiB": 100.0 + 5 * at, "memory of store, MiB": 100.0 * at} for at in range(12)]
    judged = {name: flat for name, _, _, flat in Soak(1.0, growing).lines()}
    assert judged == {"memory of api, MiB": False, "memory of store, MiB": None}
    flat = [{"memory of api, MiB": 100.0}] * 12
    assert [each[-1] for each in Soak(1.0, flat).lines()] == [True]


@pytest.mark.parametrize(("kind", "size"), [("text", 2048), ("pdf", 20480)])
def test_a_seed_makes_one_file_and_another_seed_another(kind: str, size: int) -> None:
    file = corpus.make(kind, "seed", 1)
    assert len(file.data) == size
    assert file == corpus.make(kind, "seed", 1)
    assert file.data not in {corpus.make(kind, "seed", 2).data, corpus.make(kind, "other", 1).data}


def test_an_archive_is_about_five_megabytes_of_text() -> None:
    data = corpus.make("zip", "seed", 1).data
    assert 4_000_000 < len(data) < 6_000_000
    assert zipfile.ZipFile(BytesIO(data)).testzip() is None


def test_the_mix_has_a_bit_of_everything() -> None:
    kinds = corpus.plan("mix", 100, "seed")
    assert {kind: kinds.count(kind) for kind in corpus.MIX} == {"pdf": 60, "jpeg": 30, "text": 9, "zip": 1}
    assert kinds != sorted(kinds)
