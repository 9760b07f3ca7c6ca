"""Animated AVIF, through Pillow, which brings libavif: 8 bits a colour, delays in milliseconds, played for ever.

All frames are in memory, because the encoder wants them at once.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from PIL import AvifImagePlugin, Image, ImageOps

from worker.sandbox import vips
from worker.sandbox.answers import Reencoded
from worker.sandbox.encoders import LONG_AVIF, to_pillow
from worker.sandbox.formats.heif_boxes import boxes, content, inside
from worker.sandbox.output import Output

_DATED = ((b"mvhd",), (b"trak", b"tkhd"), (b"trak", b"mdia", b"mdhd"))  # ISO/IEC 14496-12, section 8.2.2, 8.3.2, 8.4.2

AvifImagePlugin.DEFAULT_MAX_THREADS = 2  # or the decoder asks the kernel how many processors there are


def reencode(file: BinaryIO, code: tuple[int, int] | None, output: Output) -> Reencoded:
    """code: of its colours, where no profile says what they are."""
    file.seek(0)
    frames: list[Image.Image] = []
    delays: list[int] = []
    with AvifImagePlugin.AvifImageFile(file) as film:
        for number in range(film.n_frames):
            film.seek(number)
            film.load()
            delays.append(film.info["duration"])
            frames.append(to_pillow(output.fitted(_normalised(film, code))))
    if not output.kept:
        options = LONG_AVIF | {"quality": output.quality or LONG_AVIF["quality"], "duration": delays}
        with open(output.empty(), "w+b", closefd=False) as out:
            frames[0].save(out, film.format, save_all=True, append_images=frames[1:], **options)
            _forget_when(out)
    return output.several(*frames[0].size, len(frames))


def _normalised(film: AvifImagePlugin.AvifImageFile, code: tuple[int, int] | None) -> Any:
    """The frame that has been loaded, upright and in sRGB."""
    image = vips.from_pillow(ImageOps.exif_transpose(film))
    if profile := film.info.get("icc_profile"):
        vips.attach_profile(image, profile)
    else:
        vips.attach_code(image, code)
    return vips.to_srgb(image)


def _forget_when(file: BinaryIO) -> None:
    """libavif writes the time of day, in three kinds of boxes; the same image must give the same bytes."""
    for moov in boxes(file, 0, file.seek(0, 2)):
        for path in _DATED if moov.name == b"moov" else ():
            for box in inside(file, moov, *path):
                version = content(file, box, 1)
                file.seek(box.start + 4)
                file.write(bytes(2 * (8 if version == b"\1" else 4)))  # created, modified
