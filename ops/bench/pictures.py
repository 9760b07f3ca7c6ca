"""Pictures to measure with: noisy enough to be worth compressing, and the same in every run."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

_FORMATS: dict[str, dict[str, Any]] = {  # Pillow's names, and how it is to write them
    "JPEG": {"quality": 90},
    "PNG": {},
    "GIF": {},
    "WEBP": {"quality": 90},
    "AVIF": {"quality": 80, "speed": 10},
    "HEIF": {"quality": 90},
    "TIFF": {},
    "BMP": {},
}
MEDIA_TYPES = {kind: f"image/{'heic' if kind == 'HEIF' else kind.lower()}" for kind in _FORMATS}


def picture(kind: str, width: int, height: int, variant: int = 0) -> bytes:
    """One picture in one of the formats of `MEDIA_TYPES`; another for each variant."""
    glow = Image.radial_gradient("L").rotate(7 * variant).resize((width, height))
    shade = Image.linear_gradient("L").rotate(11 * variant).resize((width, height))
    noise = Image.frombytes("L", (64, 64), bytes(each * (each + 2 * variant + 1) % 251 for each in range(64 * 64)))
    scene = Image.merge("RGB", (glow, shade, noise.resize((width, height))))
    file = io.BytesIO()
    scene.save(file, kind, **_FORMATS[kind])
    return file.getvalue()


jpeg, png = partial(picture, "JPEG"), partial(picture, "PNG")
