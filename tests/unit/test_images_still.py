"""Still images through the real sandbox: what must stay stays, what must go is gone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms, ImageOps

from tests import images
from worker.sandbox import OUTPUT_TYPES, Sandbox

GOOD = 32  # dB

FORMATS = {
    "image/jpeg": ("JPEG", {"quality": 92}),
    "image/png": ("PNG", {}),
    "image/webp": ("WEBP", {"quality": 92}),
    "image/avif": ("AVIF", {"quality": 80, "speed": 10}),
    "image/heic": ("HEIF", {"quality": 90}),
    "image/tiff": ("TIFF", {}),
    "image/bmp": ("BMP", {}),
    "image/gif": ("GIF", {}),
}
DESCRIBED = ["image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/tiff"]  # may hold EXIF


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(memory=2 << 30, seconds=20, output=64 << 20)
    yield sandbox
    sandbox.close()


def _encoded(media_type: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    kind, usual = FORMATS[media_type]
    return images.encode(picture or images.photo(), kind, **usual | options)


@pytest.mark.parametrize("media_type", FORMATS)
def test_a_photograph_stays_what_it_was(sandbox: Sandbox, media_type: str) -> None:
    original = _encoded(media_type)
    outcome, output = images.remade(sandbox, original, media_type)
    assert (outcome.width, outcome.height, outcome.frames) == (160, 120, 1)
    assert outcome.type == OUTPUT_TYPES[media_type] == images.sniff(sandbox, output)
    assert images.psnr(images.decode(original), images.decode(output)) >= GOOD


@pytest.mark.parametrize("media_type", FORMATS)
def test_the_same_image_gives_the_same_bytes(sandbox: Sandbox, media_type: str) -> None:
    original = _encoded(media_type)
    assert images.remade(sandbox, original, media_type) == images.remade(sandbox, original, media_type)


@pytest.mark.parametrize("media_type", ["image/png", "image/webp", "image/tiff", "image/gif", "image/bmp"])
def test_lossless_formats_are_exact(media_type: str) -> None:
    options = {"lossless": True, "exact": True} if media_type == "image/webp" else {}
    picture = images.photo() if media_type == "image/bmp" else images.with_alpha(images.photo())
    original = _encoded(media_type, picture, **options)
    _, output = images.remade(images.BARE, original, media_type)
    assert (images.decode(original, "RGBA") == images.decode(output, "RGBA")).all()


@pytest.mark.parametrize("media_type", ["image/webp", "image/avif"])
def test_lossy_formats_keep_alpha(media_type: str) -> None:
    original = _encoded(media_type, images.with_alpha(images.photo()))
    _, output = images.remade(images.BARE, original, media_type)
    alphas = [images.decode(data, "RGBA")[..., 3] for data in (original, output)]
    assert images.psnr(*alphas) >= GOOD


def test_transparent_heic_becomes_white_jpeg() -> None:
    original = _encoded("image/heic", Image.new("RGBA", (64, 64), (255, 0, 0, 0)))
    _, output = images.remade(images.BARE, original, "image/heic")
    assert images.decode(output).min() > 250


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_mode_is_exact(mode: str) -> None:
    source = images.with_alpha(images.photo(61, 37))
    if mode == "I;16":
        picture = Image.fromarray(np.arange(61 * 37, dtype=np.uint16).reshape(37, 61) * 29)
    else:
        picture = source.quantize() if mode == "P" else source.convert(mode)
    original = images.encode(picture, "PNG")
    _, output = images.remade(images.BARE, original, "image/png")
    assert (_vips_pixels(original) == _vips_pixels(output)).all()


@pytest.mark.parametrize("kind", [2, 6])
def test_png_of_16_bits_per_colour_is_exact(kind: int) -> None:
    bands = 3 if kind == 2 else 4
    values = np.random.default_rng(0).integers(0, 65536, (20, 30, bands), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    original = images.png(30, 20, depth=16, kind=kind, rows=rows)
    _, output = images.remade(images.BARE, original, "image/png")
    assert (_vips_pixels(output) == values).all()


@pytest.mark.parametrize(("kind", "transparent"), [(0, b"\0\x07"), (2, b"\0\x01\0\x02\0\x03")])
def test_png_with_one_transparent_colour_is_exact(kind: int, transparent: bytes) -> None:
    bands = 1 if kind == 0 else 3
    values = np.random.default_rng(0).integers(0, 8, (20, 30, bands), dtype=np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    original = images.png(30, 20, depth=8, kind=kind, rows=rows, extra=[(b"tRNS", transparent)])
    _, output = images.remade(images.BARE, original, "image/png")
    assert (images.decode(original, "RGBA") == images.decode(output, "RGBA")).all()
    assert (images.decode(output, "RGBA")[..., 3] == 0).any()


def test_interlaced_png_is_exact() -> None:
    picture = pyvips.Image.new_from_array(np.asarray(images.photo(61, 37)))
    original = bytes(picture.copy(interpretation="srgb").pngsave_buffer(interlace=True))
    _, output = images.remade(images.BARE, original, "image/png")
    assert (images.decode(original) == images.decode(output)).all()


def test_png_with_a_name_that_is_not_utf8() -> None:
    rows = b"\0\x80" * 4
    original = images.png(1, 4, depth=8, kind=0, rows=rows, extra=[(b"tEXt", b"\xff\xfe\x80\0" + images.MARKER)])
    _, output = images.remade(images.BARE, original, "image/png")
    assert images.MARKER not in output


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("media_type", DESCRIBED)
def test_orientation_is_applied(media_type: str, orientation: int) -> None:
    original = _encoded(media_type, images.photo(96, 64), exif=images.exif(orientation))
    outcome, output = images.remade(images.BARE, original, media_type)
    with Image.open(io.BytesIO(original)) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    assert (outcome.height, outcome.width) == upright.shape[:2]
    assert images.psnr(upright, images.decode(output)) >= 28  # so small an image is hard on every encoder


@pytest.mark.parametrize("media_type", DESCRIBED)
def test_metadata_is_gone(sandbox: Sandbox, media_type: str) -> None:
    described: dict[str, Any] = {"exif": images.exif(), "xmp": images.XMP, "icc_profile": images.profile("p3")}
    if media_type == "image/jpeg":
        described["comment"] = images.MARKER
    original = _encoded(media_type, **described)
    assert images.MARKER in original
    _, output = images.remade(sandbox, original, media_type)
    assert images.MARKER not in output
    assert b"Exif" not in output
    assert b"acsp" not in output  # the signature of an ICC profile
    with Image.open(io.BytesIO(output)) as picture:
        assert not {"exif", "xmp", "icc_profile", "comment", "photoshop"} & set(picture.info)
        assert not dict(picture.getexif()).keys() & {270, 271, 306, 34665, 34853}


def test_a_thumbnail_in_a_jpeg_is_gone() -> None:
    thumbnail = images.encode(images.photo(32, 32), "JPEG")
    original = _encoded("image/jpeg", exif=images.exif() + thumbnail)
    _, output = images.remade(images.BARE, original, "image/jpeg")
    assert output.count(b"\xff\xd8\xff") == 1


def test_bytes_behind_the_end_are_gone() -> None:
    for media_type in FORMATS:
        _, output = images.remade(images.BARE, _encoded(media_type) + images.MARKER, media_type)
        assert images.MARKER not in output


@pytest.mark.parametrize("media_type", DESCRIBED)
def test_wide_gamut_is_converted(media_type: str) -> None:
    original = _encoded(media_type, icc_profile=images.profile("p3"))
    _, output = images.remade(images.BARE, original, media_type)
    assert images.psnr(_to_srgb(original), images.decode(output)) >= GOOD
    assert images.psnr(_to_srgb(original), images.decode(original)) < GOOD  # so it did make a difference


@pytest.mark.parametrize("icc_profile", [b"not a profile" * 20, images.profile("cmyk")])
def test_an_unusable_profile_is_ignored(icc_profile: bytes) -> None:
    original = _encoded("image/png", icc_profile=icc_profile)
    _, output = images.remade(images.BARE, original, "image/png")
    assert (images.decode(original) == images.decode(output)).all()


@pytest.mark.parametrize("icc_profile", [None, images.profile("cmyk")])
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/tiff"])
def test_cmyk_becomes_srgb(media_type: str, icc_profile: bytes | None) -> None:
    described = {"icc_profile": icc_profile} if icc_profile else {}
    original = _encoded(media_type, images.photo().convert("CMYK"), **described)
    _, output = images.remade(images.BARE, original, media_type)
    expected = pyvips.Image.new_from_buffer(original, "").icc_transform("srgb", input_profile="cmyk")
    with Image.open(io.BytesIO(output)) as picture:
        assert picture.mode == "RGB"
    assert images.psnr(expected.numpy(), images.decode(output)) >= GOOD


def test_grey_stays_grey() -> None:
    for media_type in ("image/jpeg", "image/png", "image/tiff"):
        _, output = images.remade(images.BARE, _encoded(media_type, images.photo().convert("L")), media_type)
        with Image.open(io.BytesIO(output)) as picture:
            assert picture.mode == "L"


def test_sharp_colours_stay_sharp() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    stripes[:, 1::2] = (0, 0, 255)
    original = _encoded("image/jpeg", Image.fromarray(stripes), subsampling="4:4:4")
    _, output = images.remade(images.BARE, original, "image/jpeg")
    assert images.psnr(images.decode(original), images.decode(output)) >= GOOD


def test_avif_keeps_its_depth() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64, 1).repeat(3, axis=2)
    deep = pyvips.Image.new_from_array(ramp).copy(interpretation="rgb16")
    original = bytes(deep.heifsave_buffer(compression="av1", bitdepth=10, Q=90, effort=0))
    _, output = images.remade(images.BARE, original, "image/avif")
    assert pyvips.Image.new_from_buffer(output, "").get("bits-per-sample") == 10


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_bmp_of_every_mode_is_exact(mode: str) -> None:
    original = _encoded("image/bmp", images.photo(61, 37).convert(mode))
    _, output = images.remade(images.BARE, original, "image/bmp")
    assert (images.decode(original) == images.decode(output)).all()


def test_a_jpeg_that_only_a_pedant_minds() -> None:
    original = _encoded("image/jpeg")
    padded = original[:-2] + b"\x00\x00\x00" + original[-2:]  # cameras pad before the end marker
    _, output = images.remade(images.BARE, padded, "image/jpeg")
    assert output.count(b"\xff\xd8\xff") == 1
    assert images.psnr(images.decode(original), images.decode(output)) >= GOOD


def _vips_pixels(data: bytes) -> images.Pixels:
    pixels = np.asarray(pyvips.Image.new_from_buffer(data, "").numpy())
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _to_srgb(data: bytes) -> images.Pixels:
    with Image.open(io.BytesIO(data)) as picture:
        wide = ImageCms.ImageCmsProfile(io.BytesIO(images.profile("p3")))
        converted = ImageCms.profileToProfile(picture.convert("RGB"), wide, ImageCms.createProfile("sRGB"))
        assert converted is not None
        return np.asarray(converted)
