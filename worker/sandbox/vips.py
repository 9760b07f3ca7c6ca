"""libvips: load by an explicit loader, straighten and bring to sRGB, save without metadata. Runs in the child."""

from __future__ import annotations

from mmap import mmap
from typing import Any

import pyvips
from PIL import Image

from worker.sandbox.answers import ImageLimits
from worker.sandbox.refusal import check_size, undecodable

OPERATIONS = (
    "jpegload_source",
    "pngload_source",
    "pngload_buffer",
    "webpload_source",
    "webpload_buffer",
    "gifload_source",
    "heifload_source",
    "tiffload_source",
    "jpegsave_target",
    "pngsave_target",
    "pngsave_buffer",
    "webpsave_target",
    "webpsave_buffer",
    "gifsave_target",
    "heifsave_target",
    "tiffsave_target",
    "tiffsave_buffer",
    "icc_transform",
    "colourspace",
    "autorot",
    "thumbnail_image",
    "avg",
)
_CMYK = "cmyk"
_CONVERTED = frozenset({"lab", "labs", "labq", "lch", "xyz", "yxy", "cmc", "hsv"})  # spaces no target format holds
_PROFILE = "icc-profile-data"
_DISPLAY_P3 = 12  # ITU-T H.273, table 2
_SRGB_CURVES = (1, 2, 6, 13)  # table 3: what is drawn like sRGB, and what is not said
_PILLOW_MODES = ("L", "LA", "RGB", "RGBA")  # one letter, one band


def preload() -> None:
    """Look every operation up, so that a build without one of them cannot start, and no child has to.

    Runs no operation: libvips starts threads when it does, and a process forked after that hangs.
    Raises `pyvips.Error` if an operation is missing.
    """
    pyvips.block_untrusted_set(True)
    for name in OPERATIONS:
        pyvips.Introspect.get(name)


def load(loader: str, original: int | bytes | mmap, limits: ImageLimits, **options: Any) -> Any:
    """Open an image, in a descriptor or in memory, with this loader and no other; decodes nothing yet.

    The caller holds the original until the image has been saved.

    `fail_on="error"` refuses damaged data; libtiff calls a short read an error, not a truncation.
    Raises `Refusal` where the header breaks the limits, `pyvips.Error` where it makes no sense.
    """
    is_file = isinstance(original, int)
    source = (pyvips.Source.new_from_descriptor if is_file else pyvips.Source.new_from_memory)(original)
    options = {"access": "sequential", "fail_on": "error"} | options
    image = getattr(pyvips.Image, f"{loader}_source")(source, **options)
    check_size(image.width, page_height(image), limits)
    return image


def from_pillow(picture: Image.Image) -> Any:
    """An image that Pillow decodes: grey or sRGB, 8 bits, with its alpha where it has one. Raises `Refusal`."""
    if picture.mode.startswith(("I", "F")):
        raise undecodable("it has more than 8 bits of grey")  # which Pillow would cut to white
    mode = picture.mode if picture.mode in _PILLOW_MODES else "RGB"
    pixels = picture.convert(mode).tobytes()
    image = pyvips.Image.new_from_memory(pixels, *picture.size, len(mode), "uchar")
    return image.copy(interpretation="b-w" if len(mode) < 3 else "srgb")


def attach_profile(image: Any, profile: bytes) -> None:
    """Give the image the ICC profile that its pixels are in."""
    image.set_type(pyvips.GValue.blob_type, _PROFILE, profile)


def has_profile(image: Any) -> bool:
    """Does an ICC profile say what its colours are?"""
    return bool(image.get_typeof(_PROFILE))


def attach_code(image: Any, code: tuple[int, int] | None) -> None:
    """Colours that are named by a code instead of a profile: primaries and transfer of ITU-T H.273.

    Only Display P3 is known, which phones write. Of all others, sRGB is the most likely that is shown well.
    """
    if code and code[0] == _DISPLAY_P3 and code[1] in _SRGB_CURVES:
        attach_profile(image, built_in_profile("p3"))


def built_in_profile(name: str) -> bytes:
    """An ICC profile that libvips carries: `srgb`, `p3` or `cmyk`."""
    return bytes(pyvips.Image.profile_load(name))


def field(image: Any, name: str, default: Any) -> Any:
    """A field of the header. Never asks for all their names: a hostile PNG has some that are not UTF-8."""
    return image.get(name) if image.get_typeof(name) else default


def page_height(image: Any) -> int:
    """The height of one frame in pixels; libvips holds an animation as one tall strip."""
    return int(image.get_page_height())


def normalised(image: Any) -> Any:
    """The image as it should be shown: in sRGB, upright."""
    return upright(to_srgb(image))


def to_srgb(image: Any) -> Any:
    """Colours by the embedded profile; a profile that is broken or of another colour model is ignored."""
    is_cmyk = image.interpretation == _CMYK
    if is_cmyk or has_profile(image):
        depth = 16 if image.format == "ushort" else 8
        fallback = _CMYK if is_cmyk else "srgb"
        return image.icc_transform("srgb", embedded=True, input_profile=fallback, depth=depth)
    return image.colourspace("srgb") if image.interpretation in _CONVERTED else image


def upright(image: Any) -> Any:
    """Turn the pixels as the EXIF orientation says; only that needs the whole image in memory."""
    if field(image, "orientation", 1) == 1:
        return image
    if image.height == page_height(image):
        return image.copy_memory().autorot()
    first, *others = [page.autorot() for page in pages(image)]
    return first.pagejoin(others)


def fitted(image: Any, width: int, height: int) -> Any:
    """Every frame scaled down to fit into so many pixels; never up. A single one is streamed."""
    if image.height == page_height(image):
        return image.thumbnail_image(width, height=height, size="down", no_rotate=True)
    first, *others = [page.thumbnail_image(width, height=height, size="down", no_rotate=True) for page in pages(image)]
    return first.pagejoin(others)


def pages(image: Any) -> list[Any]:
    """The frames of an animation, which has to be in memory."""
    return list(image.copy_memory().pagesplit())


def exhaust(image: Any) -> None:
    """Decode all of it, and keep nothing."""
    image.avg()


def save(image: Any, saver: str, descriptor: int, **options: Any) -> None:
    """Decode, convert and encode in one stream. `keep="none"` drops every block of metadata."""
    target = pyvips.Target.new_to_descriptor(descriptor)
    getattr(image, f"{saver}_target")(target, keep="none", **options)
