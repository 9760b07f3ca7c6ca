"""What a service's policy says is to become of its images: another format, another quality, smaller, or nothing."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import images
from worker.sandbox import Reencoded, Treatment
from worker.scan import ReasonCode

KEEP = Treatment(keep=True)
KINDS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
}
MOVING = ["image/png", "image/gif", "image/webp", "image/avif", "image/tiff"]
DELAYS = [100, 50, 70, 200]  # milliseconds


def _still(media_type: str, picture: Image.Image | None = None) -> bytes:
    options: dict[str, Any] = {"speed": 10} if media_type == "image/avif" else {}
    return images.encode(picture or images.photo(), KINDS[media_type], **options)


def _moving(media_type: str) -> bytes:
    return images.encode_film(images.film(), KINDS[media_type], duration=DELAYS, loop=3)


def _remade(data: bytes, media_type: str, **treatment: Any) -> tuple[Reencoded, bytes]:
    return images.remade(images.BARE, data, media_type, treatment=Treatment(**treatment))


@pytest.mark.parametrize("media_type", KINDS)
@pytest.mark.parametrize("output", ["image/jpeg", "image/png", "image/webp", "image/avif"])
def test_a_still_image_becomes_the_format_that_is_asked_for(media_type: str, output: str) -> None:
    original = _still(media_type)
    outcome, made = _remade(original, media_type, output=output)
    assert outcome == Reencoded(output, 160, 120, 1, 160, 120)
    with Image.open(io.BytesIO(made)) as picture:
        assert picture.get_format_mimetype() == output
    assert images.psnr(images.decode(original), images.decode(made)) >= 30


@pytest.mark.parametrize("media_type", MOVING)
def test_what_moves_stays_what_it_is(media_type: str) -> None:
    outcome, made = _remade(_moving(media_type), media_type, output="image/jpeg")
    assert outcome == Reencoded(media_type, 64, 48, 4, 64, 48)
    assert len(images.decode_film(made)) == 4


def test_transparency_stays_where_the_format_has_it_and_becomes_white_elsewhere() -> None:
    original = images.encode(images.with_alpha(images.photo()), "PNG")
    alpha = images.decode(original, "RGBA")[..., 3]
    for output in ("image/webp", "image/avif"):
        _, made = _remade(original, "image/png", output=output)
        assert images.psnr(images.decode(made, "RGBA")[..., 3], alpha) >= 32
    _, made = _remade(original, "image/png", output="image/jpeg")
    assert images.decode(made)[alpha < 3].mean() > 245


def test_sixteen_bits_become_the_eight_of_another_format() -> None:
    ramp = np.linspace(0, 65535, 160).astype(np.uint16)[None, :, None].repeat(120, axis=0).repeat(3, axis=2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in ramp)
    _, made = _remade(images.png(160, 120, depth=16, kind=2, rows=rows), "image/png", output="image/jpeg")
    assert images.psnr((ramp >> 8).astype(np.uint8), images.decode(made)) >= 35


def test_an_image_that_is_too_long_for_the_format_is_refused() -> None:
    long = images.encode(Image.new("L", (20_000, 1)), "PNG")
    refused = images.refused(images.BARE, long, "image/png", treatment=Treatment(output="image/webp"))
    assert refused.code is ReasonCode.IMAGE_TOO_LARGE
    assert "at most 16383 to a side" in refused.message


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/webp", "image/avif", "image/heic"])
def test_a_lower_quality_makes_a_smaller_file(media_type: str) -> None:
    original = _still(media_type)
    sizes = [len(_remade(original, media_type, quality=quality)[1]) for quality in (10, 50, 95)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("media_type", KINDS)
def test_a_large_image_is_scaled_down_in_proportion(media_type: str) -> None:
    original = _still(media_type)
    outcome, made = _remade(original, media_type, max_width=80, max_height=1000)
    assert (outcome.width, outcome.height) == (80, 60)
    assert (outcome.original_width, outcome.original_height) == (160, 120)
    with Image.open(io.BytesIO(original)) as picture:
        smaller = np.asarray(picture.convert("RGB").resize((80, 60), Image.Resampling.LANCZOS))
    assert images.psnr(smaller, images.decode(made)) >= (20 if media_type == "image/gif" else 28)  # so few colours
    assert (_remade(original, media_type, max_height=30)[0].width) == 40


@pytest.mark.parametrize("media_type", KINDS)
def test_a_small_image_is_not_scaled_up(media_type: str) -> None:
    original = _still(media_type)
    large = _remade(original, media_type, max_width=160, max_height=120)
    assert large == _remade(original, media_type)


@pytest.mark.parametrize("media_type", MOVING)
def test_every_frame_is_scaled_down(media_type: str) -> None:
    original = _moving(media_type)
    outcome, made = _remade(original, media_type, max_width=32)
    assert outcome == Reencoded(media_type, 32, 24, 4, 64, 48)
    frames = images.decode_film(made, "RGB")
    assert [frame.shape for frame in frames] == [(24, 32, 3)] * 4
    for frame, picture in zip(frames, images.film(), strict=True):
        smaller = np.asarray(picture.resize((32, 24), Image.Resampling.LANCZOS))
        assert images.psnr(smaller, frame) >= (22 if media_type == "image/gif" else 26)  # so few colours, so small


@pytest.mark.parametrize("media_type", ["image/png", "image/gif", "image/webp"])
def test_delays_and_loops_stay_where_frames_are_scaled_down(media_type: str) -> None:
    _, made = _remade(_moving(media_type), media_type, max_width=32)
    with Image.open(io.BytesIO(made)) as film:
        assert film.info["loop"] == 3
        delays = []
        for number in range(4):
            film.seek(number)
            film.load()
            delays.append(film.info["duration"])
    assert delays == DELAYS


def test_a_default_image_is_scaled_down_with_its_animation() -> None:
    original = images.encode_film(images.film(), "PNG", duration=DELAYS[1:], default_image=True)
    outcome, made = _remade(original, "image/png", max_width=32)
    assert outcome == Reencoded("image/png", 32, 24, 3, 64, 48)
    with Image.open(io.BytesIO(made)) as film:
        assert film.info["default_image"]
    assert len(images.decode_film(made)) == 4


def test_what_is_turned_is_scaled_down_as_it_is_shown() -> None:
    original = images.encode(images.photo(), "JPEG", exif=images.exif(6))
    outcome, _ = _remade(original, "image/jpeg", max_height=80)
    assert (outcome.width, outcome.height) == (60, 80)
    assert (outcome.original_width, outcome.original_height) == (120, 160)


@pytest.mark.parametrize("media_type", KINDS)
def test_what_is_kept_is_decoded_and_nothing_is_written(media_type: str) -> None:
    for original in (_still(media_type), *([_moving(media_type)] if media_type in MOVING else [])):
        outcome, made = images.remade(images.BARE, original, media_type, treatment=KEEP)
        assert (outcome.type, made) == (media_type, b"")
        cut = original[: len(original) * 2 // 3]
        refused = images.refused(images.BARE, cut, media_type, treatment=KEEP)
        assert refused.code is ReasonCode.IMAGE_UNDECODABLE


@pytest.mark.parametrize("media_type", KINDS)
def test_what_is_kept_must_end_where_the_image_does(media_type: str) -> None:
    for original in (_still(media_type), *([_moving(media_type)] if media_type in MOVING else [])):
        images.remade(images.BARE, original, media_type, treatment=KEEP)
        for behind in (b"#", b"PK\3\4" + bytes(30), bytes(17)):
            refused = images.refused(images.BARE, original + behind, media_type, treatment=KEEP)
            assert refused.code is ReasonCode.TYPE_MISMATCH
            assert "bytes stand behind the end of the image" in refused.message


def test_every_image_of_a_heic_that_is_kept_is_decoded() -> None:
    original = images.encode_film([images.photo(), images.photo(seed=1)], "HEIF")
    images.remade(images.BARE, original, "image/heic", treatment=KEEP)
    second = original.rfind(b"\x28\x01")  # the head of the second image's pixels
    damaged = original[:second] + b"\x7e\x7e" + original[second + 2 :]
    images.remade(images.BARE, damaged, "image/heic")
    images.refused(images.BARE, damaged, "image/heic", treatment=KEEP)


def test_described_images_may_be_kept() -> None:
    for media_type in ("image/jpeg", "image/png", "image/webp", "image/heic", "image/tiff"):
        original = images.encode(
            images.photo(), KINDS[media_type], exif=images.exif(6), icc_profile=images.profile("p3")
        )
        images.remade(images.BARE, original, media_type, treatment=KEEP)


@pytest.mark.parametrize("media_type", KINDS)
def test_the_same_treatment_gives_the_same_bytes(media_type: str) -> None:
    original = _still(media_type)
    treatment = {"output": "image/avif", "quality": 70, "max_width": 100}
    assert _remade(original, media_type, **treatment) == _remade(original, media_type, **treatment)
