"""The whole path, under policies that say what is to become of images."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests import images
from tests.system import System
from worker.scan import ReasonCode, Status
from worker.settings import REPOSITORY

Under = Callable[[str], System]


@pytest.fixture
def under(system: System, tmp_path: Path) -> Iterator[Under]:
    """The same system under the policy that is shipped, but for this table."""
    opened: list[System] = []

    def other(table: str) -> System:
        path = tmp_path / "policy.toml"
        shipped = (REPOSITORY / "ops" / "policy.toml").read_text()
        path.write_text(shipped[: shipped.index("[default.images]")] + f"[default.images]\n{table}\n")
        opened.append(system.with_settings(policy_file=path))
        return opened[-1]

    yield other
    for each in opened:
        each.parts.close()
        each.queue.close()


def test_an_image_that_is_kept_is_promoted_byte_by_byte(under: Under) -> None:
    original = images.encode(images.photo(), "JPEG", exif=images.exif(6))
    keeping = under('treatment = "keep"')
    scan = keeping.outcome(original, "photo.jpg", "image/jpeg")
    assert (scan.status, scan.reasons) == (Status.CLEAN, ())
    assert keeping.read(scan) == original
    assert scan.promoted is not None
    assert (scan.promoted.sha256, scan.promoted.type) == (scan.sha256, "image/jpeg")


@pytest.mark.parametrize(
    ("behind", "codes"),
    [(b"anything", {ReasonCode.TYPE_MISMATCH}), (None, {ReasonCode.IMAGE_UNDECODABLE})],
    ids=["more than an image", "less than an image"],
)
def test_what_is_more_or_less_than_an_image_is_not_kept(
    under: Under, behind: bytes | None, codes: set[ReasonCode]
) -> None:
    whole = images.encode(images.photo(), "JPEG")
    scan = under('treatment = "keep"').outcome(whole + behind if behind else whole[:-500], "photo.jpg")
    assert (scan.status, {reason.code for reason in scan.reasons}) == (Status.REJECTED, codes)


def test_a_polyglot_is_not_kept_but_made_anew_otherwise(under: Under, system: System) -> None:
    """A comment that is a page to a browser, in a GIF that is whole."""
    page = b"<html><script>alert(1)</script></html>"
    whole = images.encode(images.photo(), "GIF", comment=page)
    script = b"GIF89a=0;" + bytes(7)
    for original in (whole, script):
        assert under('treatment = "keep"').outcome(original, "photo.gif").status is not Status.CLEAN
    scan = system.outcome(whole, "photo.gif")
    assert scan.status is Status.CLEAN
    assert page not in system.read(scan)


def test_another_format_and_size_are_promoted(under: Under) -> None:
    made = under('format = "webp"\nquality = 70\nmax_width = 80')
    scan = made.outcome(images.encode(images.photo(), "PNG"), "photo.png", "image/png")
    assert scan.status is Status.CLEAN
    assert scan.promoted is not None
    assert (scan.detected_type, scan.promoted.type) == ("image/png", "image/webp")
    with Image.open(io.BytesIO(made.read(scan))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (80, 60))


def test_the_record_names_another_policy(under: Under, system: System) -> None:
    original = images.encode(images.photo(), "JPEG")
    assert under("quality = 70").outcome(original, "photo.jpg").policy != system.outcome(original, "photo.jpg").policy
