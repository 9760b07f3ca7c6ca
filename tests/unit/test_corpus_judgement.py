"""The judge of the corpus: it sees each thing that may be wrong with an outcome."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tests import images
from tests.corpus import outcomes
from tests.corpus.case import Case
from tests.corpus.likeness import differences
from tests.corpus.outcomes import Outcome, faults
from worker import clock
from worker.scan import Reason, ReasonCode, Scan, Status


@cache
def film(kind: str, frames: int = 3, duration: int = 100, **options: Any) -> bytes:
    return images.encode_film(images.film(frames), kind, duration=duration, loop=0, **options)


@pytest.mark.parametrize(
    ("original", "promoted", "complaint"),
    [
        (images.encode(images.photo(), "PNG"), images.encode(images.photo(), "JPEG", quality=90), None),
        (images.encode(images.photo(), "PNG"), images.encode(images.photo(), "JPEG", quality=10), "a likeness of"),
        (images.encode(images.photo(), "PNG"), images.encode(images.photo(seed=1), "PNG"), "a likeness of"),
        (images.encode(images.photo(), "PNG"), images.encode(images.photo(120, 160), "PNG"), "frames of"),
        (
            images.encode(images.photo(), "JPEG", exif=images.exif(6)),
            images.encode(images.photo(), "JPEG"),
            "frames of",
        ),
        (film("GIF"), film("GIF"), None),
        (film("GIF"), film("GIF", 2), "frames of"),
        (film("GIF"), film("GIF", duration=200), "delays"),
        (film("WEBP"), film("WEBP", duration=99), "delays"),
        (
            images.encode(images.with_alpha(images.photo()), "PNG"),
            images.encode(images.photo(), "PNG"),
            "nothing is transparent",
        ),
        (
            images.encode(images.with_alpha(images.photo()), "PNG"),
            images.encode(images.photo(), "JPEG"),
            "a likeness of",
        ),
    ],
)
def test_a_difference_is_seen(original: bytes, promoted: bytes, complaint: str | None) -> None:
    found = list(differences(original, promoted))
    assert any(each.startswith(complaint) for each in found) if complaint else found == []


CASE = Case("family", "name", "a.txt", bytes, type="text/plain")
SCAN = Scan(
    "1", "default", Status.CLEAN, "a.txt", None, clock.now(), clock.now(), attempts=1, detected_type="text/plain"
)


@pytest.mark.parametrize(
    ("changes", "promoted", "complaint"),
    [
        ({}, b"x", None),
        ({}, b"y", "its bytes have changed"),
        ({}, None, "it is not in the clean bucket"),
        ({"attempts": 2}, b"x", "it took 2 attempts"),
        ({"detected_type": "text/csv"}, b"x", "text/csv, expected text/plain"),
        ({"status": Status.REJECTED}, None, "rejected, expected clean"),
        ({"status": Status.REJECTED}, b"x", "it is in the clean bucket"),
        ({"reasons": (Reason(ReasonCode.ENCRYPTED, ""),)}, b"x", "reasons encrypted, expected none"),
        ({"detected_type": "image/png"}, b"no image", "an independent decoder says"),
    ],
)
def test_a_fault_is_seen(changes: dict[str, Any], promoted: bytes | None, complaint: str | None) -> None:
    found = list(faults(CASE, replace(SCAN, **changes), b"x", promoted))
    assert any(each.startswith(complaint) for each in found) if complaint else found == []


def test_the_table_counts() -> None:
    good, bad = Outcome(CASE, SCAN, 1.5), Outcome(replace(CASE, family="other"), SCAN, 2.5, ("a fault",))
    rows = [line.split() for line in outcomes.table([good, good, bad]).splitlines()]
    assert rows[1:] == [
        ["family", "2", "2", "0", "3.0"],
        ["other", "1", "0", "1", "2.5"],
        ["all", "3", "2", "1", "5.5"],
    ]
