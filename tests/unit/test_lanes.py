"""In which queue an upload waits: by its size, and by what its client calls it."""

from __future__ import annotations

import pytest

from worker.lanes import Lane, lane_of, suspect

LARGE_SIZE = 4 * 1024 * 1024
QUARTER = LARGE_SIZE // 4


@pytest.mark.parametrize(
    ("size", "filename", "declared_type", "lane"),
    [
        (0, "a.zip", None, Lane.SCANS),
        (LARGE_SIZE - 1, "report.pdf", "application/pdf", Lane.SCANS),
        (LARGE_SIZE, "report.pdf", "application/pdf", Lane.LARGE),
        (QUARTER - 1, "photo.jpg", "image/jpeg", Lane.SCANS),
        (QUARTER, "photo.JPG", None, Lane.LARGE),
        (QUARTER, "photo", "image/pjpeg", Lane.LARGE),
        (LARGE_SIZE, "", None, Lane.LARGE),
        (QUARTER - 1, "a.zip", "application/zip", Lane.SCANS),
        (QUARTER, "a.zip", None, Lane.LARGE),
        (QUARTER, "A.ZIP", "application/octet-stream", Lane.LARGE),
        (QUARTER, "backup.tar.gz", None, Lane.LARGE),
        (QUARTER, "a", "application/x-zip-compressed", Lane.LARGE),
        (QUARTER, "a", "Application/ZIP; charset=binary", Lane.LARGE),
        (QUARTER, "a.txt", "application/vnd.rar", Lane.LARGE),
        (QUARTER, "zip", None, Lane.SCANS),
        (QUARTER, "report.docx", None, Lane.SCANS),
        (QUARTER, "a.txt", "undefined", Lane.SCANS),
    ],
)
def test_lane_of(size: int, filename: str, declared_type: str | None, lane: Lane) -> None:
    assert lane_of(size, filename, declared_type, LARGE_SIZE) is lane


def test_what_its_worker_has_died_of_is_in_front_of_no_small_upload_again() -> None:
    assert [suspect(each) for each in Lane] == [Lane.LARGE, Lane.LARGE, Lane.BULK]
