"""Does a promoted image show what the original showed? Pillow and libheif tell, where Lazaretto has libvips."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps

from tests import images
from tests.images import Pixels

GOOD = 32.0  # dB
_DISPLAY_P3 = 12  # ITU-T H.273, colour primaries; without an ICC profile, HEIC names them instead
_ANIMATED = (
    "GIF",
    "PNG",
    "WEBP",
)  # what else Pillow finds in a file of several pictures is not shown: previews, bursts
_MOST_PIXELS = 2_000_000  # of a larger frame, every n-th pixel is compared
_WHITE = 255.0

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # the corpus holds images as large as the policy allows


class Film(NamedTuple):
    """An image as it is shown: upright, in sRGB."""

    kind: str  # Pillow's name of the format
    frames: list[Pixels]  # RGBA, 0 to 255
    sizes: list[tuple[int, int]]  # of the frames, before any pixel was left out
    delays: list[float]  # milliseconds; empty: it does not move
    loop: int | None  # how often it plays; 0: for ever; None: it does not say

    @property
    def transparent(self) -> bool:
        """Does anything shine through?"""
        return any(frame[..., 3].min() < _WHITE for frame in self.frames)


def differences(original: bytes, promoted: bytes) -> Iterator[str]:
    """Each way in which the promoted image is not the original one, as half a sentence."""
    before, after = shown(original), shown(promoted)
    if before.sizes != after.sizes:
        yield f"frames of {after.sizes} pixels, expected {before.sizes}"
        return
    if before.delays != after.delays or (before.delays and before.loop != after.loop):
        yield f"delays {after.delays}, {after.loop} times, expected {before.delays}, {before.loop} times"
    on_white = after.kind == "JPEG"  # which knows no transparency
    if before.transparent and not on_white and not after.transparent:
        yield "nothing is transparent any more"
    likeness = min(_likeness(*pair, on_white=on_white) for pair in zip(before.frames, after.frames, strict=True))
    if likeness < GOOD:
        yield f"a likeness of {likeness:.1f} dB, expected {GOOD:g}"


def shown(data: bytes) -> Film:
    """Decode it all. Raises what Pillow and libheif raise, and whatever they merely warn of."""
    with Image.open(io.BytesIO(data)) as picture:
        kind = picture.format or ""
        count = getattr(picture, "n_frames", 1) if kind in (*_ANIMATED, "TIFF") else 1
        frames, sizes, delays = [], [], []
        for number in range(count):
            if count > 1:
                picture.seek(number)
            frame = _upright(picture)
            frames.append(_pixels(frame))
            sizes.append(frame.size)
            delays.append(float(picture.info.get("duration", 0)))
        moving = kind in _ANIMATED and count > 1
        return Film(kind, frames, sizes, delays if moving else [], picture.info.get("loop"))


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    profile = _profile(picture)
    picture = ImageOps.exif_transpose(picture)
    return _in_srgb(picture, profile) if profile else picture


def _profile(picture: Image.Image) -> bytes | None:
    """The profile that its colours are in; None: sRGB, or as good as that."""
    if profile := picture.info.get("icc_profile"):
        return bytes(profile)
    if picture.mode == "CMYK":
        return images.profile("cmyk")
    nclx = picture.info.get("nclx_profile") or {}
    return images.profile("p3") if nclx.get("color_primaries") == _DISPLAY_P3 else None


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Through LittleCMS; a profile that does not fit is as good as none."""
    alpha = picture.getchannel("A") if "A" in picture.getbands() else None
    colours = picture.convert(picture.mode.rstrip("A")) if alpha else picture
    if colours.mode == "P":
        colours = colours.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
        converted = ImageCms.profileToProfile(colours, source, target, intent, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return picture
    assert converted is not None
    if alpha:
        converted.putalpha(alpha)
    return converted


def _pixels(picture: Image.Image) -> Pixels:
    """RGBA as numbers from 0 to 255, also of modes that Pillow only cuts down to 8 bits."""
    step = max(1, int((picture.width * picture.height / _MOST_PIXELS) ** 0.5))
    if picture.mode.startswith(("I", "F")):
        grey = np.asarray(picture)[::step, ::step].astype(np.float32)
        scale = 257.0 if picture.mode.startswith("I;16") else max(float(np.abs(grey).max()) / _WHITE, 1e-9)
        grey = grey / scale
        return np.stack([grey, grey, grey, np.full_like(grey, _WHITE)], axis=-1)
    if step > 1 and picture.mode != "P":
        return np.asarray(Image.fromarray(np.asarray(picture)[::step, ::step]).convert("RGBA")).astype(np.float32)
    return np.asarray(picture.convert("RGBA")).astype(np.float32)[::step, ::step]


def _likeness(one: Pixels, other: Pixels, *, on_white: bool) -> float:
    """In dB; of what shines through, too. Colours that nobody can see do not count."""
    floor = _WHITE if on_white else 0.0
    seen = [_over(each, floor) for each in (one, other)]
    likeness = images.psnr(*seen)
    return likeness if on_white else min(likeness, images.psnr(one[..., 3], other[..., 3]))


def _over(frame: Pixels, floor: float) -> Any:
    opacity = frame[..., 3:] / _WHITE
    return frame[..., :3] * opacity + floor * (1 - opacity)
