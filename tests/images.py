"""Test images, made at run time: what cameras, editors and attackers send. No binary is ever committed."""

from __future__ import annotations

import io
import itertools
import os
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pyvips
from PIL import Image

from worker.sandbox import ImageLimits, Reencoded, Refused, Sandbox, Sniffed, Treatment
from worker.sandbox import images as decoders
from worker.sandbox.answers import USUAL

Pixels = npt.NDArray[Any]

MARKER = b"HIDDEN-IN-METADATA"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>' + MARKER + b"</rdf:RDF></x:xmpmeta>"
LIMITS = ImageLimits(max_pixels=1_000_000, max_frames=100)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION, _DESCRIPTION, _GPS, _GPS_AREA = 274, 270, 34853, 28

pillow_heif.register_heif_opener()


@cache
def photo(width: int = 160, height: int = 120, seed: int = 0) -> Image.Image:
    """Something like a photograph: soft shapes, an edge, a little noise. RGB."""
    random = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(random.uniform(0, 255, (height // step + 2, width // step + 2, 3)).astype(np.uint8)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        ).astype(float)
        for step in (40, 10)
    ]
    pixels = 0.6 * layers[0] + 0.3 * layers[1] + random.normal(12, 2, (height, width, 3))
    pixels[height // 2 :, width // 3 : width // 2] *= 0.5
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def with_alpha(picture: Image.Image) -> Image.Image:
    """The same, fading out to the right."""
    picture = picture.convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize(picture.size))
    return picture


def film(frames: int = 4, width: int = 64, height: int = 48) -> list[Image.Image]:
    """Different pictures of one size. RGB."""
    return [photo(width, height, seed) for seed in range(frames)]


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Through Pillow, which leaves an encoder's settings behind in what it saves; so a copy of it is saved."""
    file = io.BytesIO()
    picture.copy().save(file, kind, **options)
    return file.getvalue()


def encode_film(frames: Sequence[Image.Image], kind: str, **options: Any) -> bytes:
    """An animation, or a TIFF of several pages."""
    return encode(frames[0], kind, save_all=True, append_images=[each.copy() for each in frames[1:]], **options)


def decode(data: bytes, mode: str = "RGB") -> Pixels:
    """The first frame, by a decoder that is not under test."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert(mode))


def decode_film(data: bytes, mode: str = "RGBA") -> list[Pixels]:
    """All frames as they are shown."""
    with Image.open(io.BytesIO(data)) as picture:
        return [_frame(picture, number, mode) for number in range(getattr(picture, "n_frames", 1))]


def _frame(picture: Image.Image, number: int, mode: str) -> Pixels:
    picture.seek(number)
    return np.asarray(picture.convert(mode))


def psnr(one: Pixels, other: Pixels) -> float:
    """Likeness in dB; infinite for the same pixels."""
    assert one.shape == other.shape
    error = float(np.mean((one.astype(float) - other.astype(float)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def exif(orientation: int = 1) -> bytes:
    """EXIF with a marker in its description and in its GPS block."""
    block = Image.Exif()
    block[_ORIENTATION] = orientation
    block[_DESCRIPTION] = MARKER.decode()
    block.get_ifd(_GPS)[_GPS_AREA] = MARKER
    return block.tobytes()


def profile(name: str) -> bytes:
    """An ICC profile that libvips carries: `p3`, `srgb` or `cmyk`."""
    return bytes(pyvips.Image.profile_load(name))


def png(
    width: int, height: int, *, depth: int, kind: int, rows: bytes, extra: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """A PNG of any depth and colour type. rows: unfiltered, each behind a zero. extra: chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", compressed(rows)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(name, data) for name, data in chunks)


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def compressed(rows: bytes) -> bytes:
    return zlib.compress(rows)


def apng(frames: Sequence[bytes], *, size: tuple[int, int], depth: int, kind: int) -> bytes:
    """An animated PNG of full frames of any depth and colour type. frames: compressed rows, as in `png`."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0))]
    chunks.append((b"acTL", struct.pack(">II", len(frames), 0)))
    sequence = itertools.count()
    for number, pixels in enumerate(frames):
        chunks.append((b"fcTL", struct.pack(">IIIIIHHBB", next(sequence), *size, 0, 0, 1, 10, 0, 0)))
        chunks.append((b"fdAT", struct.pack(">I", next(sequence)) + pixels) if number else (b"IDAT", pixels))
    return PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in [*chunks, (b"IEND", b"")])


def endless() -> bytes:
    """A small file that takes minutes to decode, within any usual limit: many large, empty frames."""
    width, height = 8000, 4000
    return apng([compressed(bytes((width // 8 + 1) * height))] * 1000, size=(width, height), depth=1, kind=0)


def greedy() -> bytes:
    """A small file that takes gigabytes to decode: a progressive JPEG that says it is 30,000 pixels square."""
    whole = bytearray(encode(photo(), "JPEG", progressive=True))
    frame = whole.find(b"\xff\xc2")
    struct.pack_into(">HH", whole, frame + 5, 30_000, 30_000)
    return bytes(whole)


def memfd(data: bytes = b"") -> int:
    """A descriptor that the caller closes."""
    descriptor = os.memfd_create("test")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    return descriptor


class Bare:
    """The decoders without the walls around them: for long tables of well-known images, at a tenth of the time."""

    def reencode(
        self, source: int, target: int, media_type: str, limits: ImageLimits, treatment: Treatment = USUAL
    ) -> Reencoded | Refused:
        """As `Sandbox.reencode` would."""
        return decoders.reencode(source, target, media_type, limits, treatment)


BARE = Bare()


def sniff(sandbox: Sandbox, data: bytes) -> str:
    """The type that the sandbox finds."""
    return sniffed(sandbox, data).type


def sniffed(sandbox: Sandbox, data: bytes) -> Sniffed:
    """All that the sandbox finds."""
    source = memfd(data)
    try:
        return sandbox.sniff(source)
    finally:
        os.close(source)


def remake(
    sandbox: Sandbox | Bare, data: bytes, media_type: str, limits: ImageLimits = LIMITS, treatment: Treatment = USUAL
) -> tuple[Reencoded | Refused, bytes]:
    """What the sandbox says, and what it wrote."""
    source, target = memfd(data), memfd()
    try:
        outcome = sandbox.reencode(source, target, media_type, limits, treatment)
        return outcome, os.pread(target, os.fstat(target).st_size, 0)
    finally:
        os.close(source)
        os.close(target)


def remade(
    sandbox: Sandbox | Bare, data: bytes, media_type: str, limits: ImageLimits = LIMITS, treatment: Treatment = USUAL
) -> tuple[Reencoded, bytes]:
    """The same, where nothing is to be refused."""
    outcome, output = remake(sandbox, data, media_type, limits, treatment)
    assert isinstance(outcome, Reencoded), outcome
    return outcome, output


def refused(
    sandbox: Sandbox | Bare, data: bytes, media_type: str, limits: ImageLimits = LIMITS, treatment: Treatment = USUAL
) -> Refused:
    """The same, where it must be refused."""
    outcome, _ = remake(sandbox, data, media_type, limits, treatment)
    assert isinstance(outcome, Refused), outcome
    return outcome
