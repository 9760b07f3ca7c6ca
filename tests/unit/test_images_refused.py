"""Images that must not pass: cut, damaged, too large, or not what they are taken for. Never a grey half."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests import images
from worker.sandbox import ImageLimits, Sandbox
from worker.scan import ReasonCode

CUTS = (0.02, 0.3, 0.6, 0.95)  # where, of the whole
LAST_BYTES = (40, 2)

FILM = images.film(5)
WHOLE = {
    "jpeg": ("image/jpeg", images.encode(images.photo(), "JPEG", quality=90)),
    "progressive jpeg": ("image/jpeg", images.encode(images.photo(), "JPEG", quality=90, progressive=True)),
    "png": ("image/png", images.encode(images.photo(), "PNG")),
    "apng": ("image/png", images.encode_film(FILM, "PNG", duration=70)),
    "gif": ("image/gif", images.encode(images.photo(), "GIF")),
    "gif film": ("image/gif", images.encode_film(FILM, "GIF", duration=70)),
    "webp": ("image/webp", images.encode(images.photo(), "WEBP")),
    "lossless webp": ("image/webp", images.encode(images.photo(), "WEBP", lossless=True)),
    "webp film": ("image/webp", images.encode_film(FILM, "WEBP", duration=70)),
    "avif": ("image/avif", images.encode(images.photo(), "AVIF", speed=10)),
    "avif film": ("image/avif", images.encode_film(FILM, "AVIF", duration=70, speed=10)),
    "heic": ("image/heic", images.encode(images.photo(), "HEIF")),
    "bmp": ("image/bmp", images.encode(images.photo(), "BMP")),
    "tiff": ("image/tiff", images.encode(images.photo(), "TIFF", compression="tiff_lzw")),
    "tiff pages": ("image/tiff", images.encode_film(FILM, "TIFF", compression="tiff_deflate")),
}

FILMS = ["gif film", "webp film", "apng", "avif film", "tiff pages"]
PROFILED = ["jpeg", "png", "webp", "avif", "heic", "tiff"]  # they may hold a colour profile, and EXIF


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(memory=2 << 30, seconds=20, output=64 << 20)
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_image_is_refused_wherever_it_is_cut(name: str) -> None:
    media_type, whole = WHOLE[name]
    images.remade(images.BARE, whole, media_type)
    lengths = [int(len(whole) * cut) for cut in CUTS]
    if not name.startswith("tiff"):  # libtiff pads: what follows the last directory holds nothing
        lengths += [len(whole) - last for last in LAST_BYTES]
    for length in lengths:
        refused = images.refused(images.BARE, whole[:length], media_type)
        assert refused.code is ReasonCode.IMAGE_UNDECODABLE, length
        assert "expected a complete and valid image" in refused.message


@pytest.mark.parametrize("name", ["gif film", "webp film", "apng", "tiff pages"])
def test_an_animation_without_its_last_frames_is_refused(name: str) -> None:
    """Cut at the border of each frame, where every frame that is left is whole."""
    media_type, whole = WHOLE[name]
    border = {"gif film": b"\x21\xf9\x04", "webp film": b"ANMF", "apng": b"fcTL", "tiff pages": b"II*\0"}[name]
    at = whole.find(border, 20)
    borders = 0
    while at > 0:
        cut = at - 4 if name == "apng" else at
        assert images.refused(images.BARE, whole[:cut], media_type).code is ReasonCode.IMAGE_UNDECODABLE
        at = whole.find(border, at + 1)
        borders += 1
    assert borders > 2 or name == "tiff pages"


def test_a_jpeg_with_a_gap_is_refused() -> None:
    """An end marker behind half an image: libjpeg shows the rest in grey and only warns."""
    _, whole = WHOLE["jpeg"]
    images.refused(images.BARE, whole[: len(whole) // 2] + b"\xff\xd9", "image/jpeg")


@pytest.mark.parametrize("name", ["png", "apng"])
def test_a_png_with_a_flipped_bit_is_refused(name: str) -> None:
    media_type, whole = WHOLE[name]
    damaged = bytearray(whole)
    damaged[len(whole) * 2 // 3] ^= 0x10
    images.refused(images.BARE, bytes(damaged), media_type)


def test_a_gif_with_missing_pixels_is_refused() -> None:
    """Its blocks are whole, but there is not enough in them."""
    head = (
        b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6) + b"\x2c" + struct.pack("<HHHHB", 0, 0, 8, 8, 0)
    )
    images.refused(images.BARE, head + b"\x02\x02\x4c\x01\x00\x3b", "image/gif")


def test_pages_in_a_circle_are_refused() -> None:
    whole = bytearray(images.encode(images.photo(), "TIFF"))
    (first,) = struct.unpack_from("<I", whole, 4)
    (entries,) = struct.unpack_from("<H", whole, first)
    struct.pack_into("<I", whole, first + 2 + 12 * entries, first)
    assert "circle" in images.refused(images.BARE, bytes(whole), "image/tiff").message


@pytest.mark.parametrize("taken_for", sorted({media_type for media_type, _ in WHOLE.values()}))
def test_no_decoder_reads_another_format(taken_for: str) -> None:
    for media_type, whole in dict(WHOLE.values()).items():
        if media_type != taken_for:
            assert images.refused(images.BARE, whole, taken_for).code is ReasonCode.IMAGE_UNDECODABLE


@pytest.mark.parametrize("media_type", sorted({media_type for media_type, _ in WHOLE.values()}))
def test_no_image_at_all(media_type: str) -> None:
    for data in (b"", b"\xff" * 5000, WHOLE["gif"][1][:6], WHOLE["png"][1][:8]):
        assert images.refused(images.BARE, data, media_type).code is ReasonCode.IMAGE_UNDECODABLE


@pytest.mark.parametrize("name", WHOLE)
def test_noise_anywhere_never_breaks_out(sandbox: Sandbox, name: str) -> None:
    """A finding or an image, whatever is damaged; never an outage, which would be tried again and again."""
    media_type, whole = WHOLE[name]
    random = np.random.default_rng(0)
    for _ in range(3):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), 8):
            damaged[at] = random.integers(0, 256)
        images.remake(sandbox, bytes(damaged), media_type)


@pytest.mark.parametrize("name", WHOLE)
def test_too_many_pixels(name: str) -> None:
    media_type, whole = WHOLE[name]
    width, height = FILM[0].size if name in FILMS else images.photo().size
    images.remade(images.BARE, whole, media_type, ImageLimits(width * height, 5))
    refused = images.refused(images.BARE, whole, media_type, ImageLimits(width * height - 1, 5))
    assert refused.code is ReasonCode.IMAGE_TOO_LARGE
    assert f"{width} x {height}" in refused.message
    assert f"at most {width * height - 1}" in refused.message


@pytest.mark.parametrize("name", FILMS)
def test_too_many_frames(name: str) -> None:
    media_type, whole = WHOLE[name]
    refused = images.refused(images.BARE, whole, media_type, ImageLimits(100_000, 4))
    assert refused.code is ReasonCode.IMAGE_TOO_MANY_FRAMES
    assert "at most 4" in refused.message


@pytest.mark.parametrize("name", FILMS)
def test_too_many_pixels_in_all_frames(name: str) -> None:
    media_type, whole = WHOLE[name]
    pixels = 5 * 64 * 48
    images.remade(images.BARE, whole, media_type, ImageLimits(100_000, 5, max_total_pixels=pixels))
    refused = images.refused(images.BARE, whole, media_type, ImageLimits(100_000, 5, max_total_pixels=pixels - 1))
    assert refused.code is ReasonCode.IMAGE_TOO_LARGE
    assert f"at most {pixels - 1} pixels" in refused.message


@pytest.mark.parametrize("name", WHOLE)
def test_too_wide(name: str) -> None:
    media_type, whole = WHOLE[name]
    width = 64 if name in FILMS else 160
    images.remade(images.BARE, whole, media_type, ImageLimits(100_000, 5, max_side=width))
    refused = images.refused(images.BARE, whole, media_type, ImageLimits(100_000, 5, max_side=width - 1))
    assert refused.code is ReasonCode.IMAGE_TOO_LARGE
    assert f"at most {width - 1} to a side" in refused.message


def _described(name: str, **options: object) -> tuple[str, bytes]:
    media_type = f"image/{name}"
    kind = {"heic": "HEIF"}.get(name, name.upper())
    return media_type, images.encode(images.photo(), kind, **options)


@pytest.mark.parametrize("name", PROFILED)
def test_a_profile_that_is_too_large(name: str) -> None:
    media_type, whole = _described(name, icc_profile=images.profile("p3"))
    images.remade(images.BARE, whole, media_type)
    refused = images.refused(images.BARE, whole, media_type, ImageLimits(100_000, 5, max_profile=400))
    assert refused.code is ReasonCode.IMAGE_TOO_LARGE
    assert "colour profile" in refused.message


@pytest.mark.parametrize("name", PROFILED)
def test_metadata_that_is_too_large(name: str) -> None:
    exif = Image.Exif()
    exif[270] = "a" * 20_000
    media_type, whole = _described(name, exif=exif.tobytes())
    images.remade(images.BARE, whole, media_type)
    refused = images.refused(images.BARE, whole, media_type, ImageLimits(100_000, 5, max_metadata=20_000))
    assert refused.code is ReasonCode.IMAGE_TOO_LARGE
    assert "too much metadata" in refused.message


def test_text_counts_as_long_as_it_would_be() -> None:
    packed = zlib.compress(bytes(1_000_000))
    for chunk in ((b"zTXt", b"a\0\0" + packed), (b"iTXt", b"a\0\1\0\0\0" + packed)):
        whole = images.png(4, 4, depth=8, kind=0, rows=bytes(20), extra=[chunk])
        images.remade(images.BARE, whole, "image/png", ImageLimits(100, 1, max_metadata=1_010_000))
        images.refused(images.BARE, whole, "image/png", ImageLimits(100, 1, max_metadata=999_999))


def test_a_gap_behind_a_harmless_warning_is_refused() -> None:
    """libvips tells the first warning only: behind one that is forgiven, a second went unheard."""
    _, whole = WHOLE["jpeg"]
    junk = whole[:20] + b"junk" + whole[20:]
    images.remade(images.BARE, junk, "image/jpeg")
    images.refused(images.BARE, junk[: len(junk) // 2] + b"\xff\xd9", "image/jpeg")
    images.refused(images.BARE, junk[: len(junk) // 2] + bytes(4) + b"\xff\xd9", "image/jpeg")


def test_a_progressive_jpeg_without_its_last_scan_is_refused() -> None:
    _, whole = WHOLE["progressive jpeg"]
    cut = whole[: whole.rfind(b"\xff\xda")] + b"\xff\xd9"
    assert "last scans" in images.refused(images.BARE, cut, "image/jpeg").message


def test_a_bomb_is_refused_by_its_header(sandbox: Sandbox) -> None:
    """50,000 x 50,000 pixels in a few bytes; nothing of it is decoded."""
    bomb = images.png(50_000, 50_000, depth=1, kind=0, rows=b"\0" * 100)
    assert images.refused(sandbox, bomb, "image/png").code is ReasonCode.IMAGE_TOO_LARGE


def test_a_frame_larger_than_its_gif_is_refused() -> None:
    screen = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x01\x00\x00"
    assert images.refused(images.BARE, screen + frame + b"\x3b", "image/gif").code is ReasonCode.IMAGE_TOO_LARGE
