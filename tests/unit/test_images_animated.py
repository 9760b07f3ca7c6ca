"""Animations and TIFF pages through the real sandbox: every frame, its delay and the loop count stay."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import pytest
import pyvips
from PIL import Image, TiffImagePlugin

from tests import images
from worker.sandbox import Sandbox

DELAYS = [100, 50, 70, 200]  # milliseconds
LOOPS = 3


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(memory=2 << 30, seconds=20, output=64 << 20)
    yield sandbox
    sandbox.close()


def _timing(data: bytes) -> tuple[list[int], int]:
    with Image.open(io.BytesIO(data)) as picture:
        delays = []
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            picture.load()
            delays.append(round(picture.info["duration"]))
        return delays, picture.info["loop"]


def _same(original: bytes, output: bytes) -> bool:
    pairs = zip(images.decode_film(original), images.decode_film(output), strict=True)
    return all((one == other).all() for one, other in pairs)


@pytest.mark.parametrize(
    ("media_type", "kind", "options"),
    [
        ("image/gif", "GIF", {}),
        ("image/gif", "GIF", {"disposal": 2}),
        ("image/webp", "WEBP", {"lossless": True}),
        ("image/png", "PNG", {}),
        ("image/png", "PNG", {"disposal": 1}),
        ("image/png", "PNG", {"default_image": True}),
    ],
)
@pytest.mark.parametrize("transparent", [False, True])
def test_an_animation_is_exact(media_type: str, kind: str, options: dict[str, object], transparent: bool) -> None:
    frames = [images.with_alpha(frame) if transparent else frame for frame in images.film()]
    delays = DELAYS[1:] if "default_image" in options else DELAYS
    original = images.encode_film(frames, kind, duration=delays, loop=LOOPS, **options)
    outcome, output = images.remade(images.BARE, original, media_type)
    assert (outcome.type, outcome.width, outcome.height, outcome.frames) == (media_type, 64, 48, len(delays))
    assert _same(original, output)
    if "default_image" not in options:
        assert _timing(original) == _timing(output) == (DELAYS, LOOPS)


def test_a_lossy_webp_animation_stays_good() -> None:
    frames = [images.with_alpha(frame) for frame in images.film(width=160, height=120)]
    original = images.encode_film(frames, "WEBP", duration=DELAYS, loop=LOOPS, quality=95)
    outcome, output = images.remade(images.BARE, original, "image/webp")
    assert outcome.frames == len(frames)
    assert _timing(output) == (DELAYS, LOOPS)
    for one, other in zip(images.decode_film(original), images.decode_film(output), strict=True):
        assert images.psnr(one[..., 3], other[..., 3]) >= 32
        shown = one[..., 3:] > 200
        assert images.psnr(one[..., :3] * shown, other[..., :3] * shown) >= 32


def test_an_animation_is_turned_upright() -> None:
    original = images.encode_film(
        images.film(), "WEBP", duration=DELAYS, loop=LOOPS, lossless=True, exif=images.exif(orientation=6)
    )
    outcome, output = images.remade(images.BARE, original, "image/webp")
    assert (outcome.width, outcome.height, outcome.frames) == (48, 64, 4)
    assert _timing(output) == (DELAYS, LOOPS)
    for one, other in zip(images.decode_film(original), images.decode_film(output), strict=True):
        assert (np.rot90(one, k=-1) == other).all()


def test_partial_frames_of_a_gif_stay_in_their_place() -> None:
    first = images.film(1)[0].quantize(200)
    second = first.copy()
    second.paste(7, (10, 12, 20, 22))
    original = images.encode_film([first, second], "GIF", duration=70, loop=0)
    _, output = images.remade(images.BARE, original, "image/gif")
    assert len(original) < 1.6 * len(images.encode(first, "GIF"))  # the second frame is a small one
    assert _same(original, output)


def test_comments_and_foreign_data_in_a_gif_are_gone() -> None:
    original = images.encode_film(images.film(), "GIF", duration=70, comment=images.MARKER)
    xmp = b"\x21\xff\x0bXMP DataXMP" + images.XMP + b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    head = len(original) - len(original[13 + 3 * 2 ** ((original[10] & 7) + 1) :])
    original = original[:head] + xmp + original[head:]
    outcome, output = images.remade(images.BARE, original, "image/gif")
    assert outcome.frames == 4
    assert images.MARKER not in output
    assert images.decode_film(output)[3].shape == (48, 64, 4)


def test_an_animated_png_of_16_bits_is_exact() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (2, 20, 30, 3), dtype=np.uint16)
    rows = [b"".join(b"\0" + row.astype(">u2").tobytes() for row in frame) for frame in values]
    original = images.apng([images.compressed(frame) for frame in rows], size=(30, 20), depth=16, kind=2)
    _, output = images.remade(images.BARE, original, "image/png")
    for number, frame in enumerate(values):
        assert (_still(output, number) == frame).all()


def test_an_animated_png_with_a_profile_is_converted() -> None:
    original = images.encode_film(images.film(), "PNG", duration=DELAYS, icc_profile=images.profile("p3"))
    _, output = images.remade(images.BARE, original, "image/png")
    wide = pyvips.Image.new_from_buffer(original, "").icc_transform("srgb", embedded=True).numpy()
    assert images.psnr(wide, images.decode(output)) > 50
    assert b"iCCP" not in output


def test_a_still_png_with_a_late_animation_chunk_is_still() -> None:
    original = images.encode(images.photo(), "PNG")
    late = original[:-12] + images.png_chunk(b"acTL", struct.pack(">II", 9, 0)) + original[-12:]
    outcome, output = images.remade(images.BARE, late, "image/png")
    assert outcome.frames == 1
    assert b"acTL" not in output


def test_every_page_of_a_tiff_is_exact() -> None:
    """Pages of different sizes, depths and colours, as a scanner program puts them together."""
    random = np.random.default_rng(0)
    deep = Image.fromarray(random.integers(0, 65536, (30, 40), dtype=np.uint16))
    pages = [
        images.photo(),
        images.photo(50, 70).convert("L"),
        images.photo(81, 33).convert("1"),
        images.with_alpha(images.photo(40, 40)),
        deep,
        images.photo(32, 32).quantize(),
    ]
    original = images.encode_film(pages, "TIFF", compression="raw")
    outcome, output = images.remade(images.BARE, original, "image/tiff")
    assert (outcome.width, outcome.height, outcome.frames) == (160, 120, len(pages))
    for number in range(len(pages)):
        one, other = (pyvips.Image.tiffload_buffer(data, page=number) for data in (original, output))
        assert one.format == other.format
        assert (one.numpy() == other.numpy()).all()
    with Image.open(io.BytesIO(output)) as picture:
        picture.seek(2)
        assert picture.mode == "1"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4"])
def test_tiffs_of_every_compression(compression: str) -> None:
    picture = images.photo().convert("1") if compression == "group4" else images.photo()
    original = images.encode_film([picture, picture], "TIFF", compression=compression)
    _, output = images.remade(images.BARE, original, "image/tiff")
    assert _same(original, output)


def test_a_bigtiff_is_exact() -> None:
    picture = pyvips.Image.new_from_array(np.asarray(images.photo()))
    original = bytes(picture.copy(interpretation="srgb").tiffsave_buffer(bigtiff=True))
    _, output = images.remade(images.BARE, original, "image/tiff")
    assert _same(original, output)


def test_animations_give_the_same_bytes_again(sandbox: Sandbox) -> None:
    for media_type, kind in (
        ("image/gif", "GIF"),
        ("image/webp", "WEBP"),
        ("image/png", "PNG"),
        ("image/tiff", "TIFF"),
    ):
        original = images.encode_film(images.film(), kind, duration=DELAYS)
        assert images.remade(sandbox, original, media_type) == images.remade(sandbox, original, media_type)


def test_an_animated_avif_stays_good_and_does_not_say_when_it_was_made() -> None:
    original = images.encode_film(images.film(), "AVIF", duration=DELAYS, speed=10, quality=90)
    outcome, output = images.remade(images.BARE, original, "image/avif")
    assert (outcome.type, outcome.width, outcome.height, outcome.frames) == ("image/avif", 64, 48, 4)
    for one, other in zip(images.decode_film(original), images.decode_film(output), strict=True):
        assert images.psnr(one, other) >= 32
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        at = output.find(box)
        assert output[at + 8 : at + 8 + (16 if output[at + 4] else 8)].strip(b"\0") == b""


def test_frames_of_a_webp_that_show_the_same_are_not_joined() -> None:
    data = _still_webp_frame()
    frame = (
        b"ANMF" + struct.pack("<I", 16 + len(data)) + bytes(6) + struct.pack("<I", 63)[:3] + struct.pack("<I", 47)[:3]
    )
    frame += struct.pack("<I", 70)[:3] + b"\0" + data
    body = b"WEBPVP8X\x0a\0\0\0\2\0\0\0" + struct.pack("<I", 63)[:3] + struct.pack("<I", 47)[:3]
    body += b"ANIM\6\0\0\0" + bytes(6) + 3 * frame
    outcome, output = images.remade(images.BARE, b"RIFF" + struct.pack("<I", len(body)) + body, "image/webp")
    assert outcome.frames == 3
    assert _timing(output) == ([70, 70, 70], 0)


def _still_webp_frame() -> bytes:
    """The one chunk of a lossless WebP."""
    return images.encode(images.film(1)[0], "WEBP", lossless=True)[12:]


def test_no_metadata_in_any_page() -> None:
    described = TiffImagePlugin.ImageFileDirectory_v2()
    described[270] = images.MARKER.decode()
    original = images.encode_film(images.film(), "TIFF", tiffinfo=described)
    assert original.count(images.MARKER) >= 1
    _, output = images.remade(images.BARE, original, "image/tiff")
    assert images.MARKER not in output


def _still(data: bytes, number: int) -> images.Pixels:
    """One full frame of an animated PNG at its whole depth, which no decoder here shows."""
    chunks, at = [], 8
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        chunks.append((name, data[at + 8 : at + 8 + length]))
        at += 12 + length
    pictures = [body for name, body in chunks if name == b"IDAT"] + [
        body[4:] for name, body in chunks if name == b"fdAT"
    ]
    alone = [chunks[0], (b"IDAT", pictures[number]), (b"IEND", b"")]
    png = images.PNG_SIGNATURE + b"".join(images.png_chunk(*chunk) for chunk in alone)
    return np.asarray(pyvips.Image.new_from_buffer(png, "").numpy())
