"""Re-encode one image: which format goes where, and what a decoder's complaint means. Runs in the child."""

from __future__ import annotations

import errno
import os
import re
import struct
import warnings
from collections.abc import Callable, Mapping
from typing import BinaryIO, NamedTuple

import pyvips
from PIL import Image

from worker.sandbox import vips
from worker.sandbox.answers import USUAL, ImageLimits, Reencoded, Refused, Treatment
from worker.sandbox.formats import (
    avif,
    bmp,
    bmp_header,
    gif,
    gif_blocks,
    heic,
    heif_items,
    jpeg,
    jpeg_segments,
    png,
    png_chunks,
    tiff,
    tiff_pages,
    webp,
    webp_chunks,
)
from worker.sandbox.output import Output
from worker.sandbox.refusal import Refusal, more_than_an_image, out_of_memory, undecodable
from worker.sandbox.tally import Tally


class Format(NamedTuple):
    """How a file of one type is looked through, and how it is made anew."""

    survey: Callable[[BinaryIO, Tally], int]  # see `worker.sandbox.tally`
    reencode: Callable[[int, Output, ImageLimits], Reencoded]


FORMATS: Mapping[str, Format] = {
    "image/jpeg": Format(jpeg_segments.survey, jpeg.reencode),
    "image/png": Format(png_chunks.survey, png.reencode),
    "image/gif": Format(gif_blocks.survey, gif.reencode),
    "image/webp": Format(webp_chunks.survey, webp.reencode),
    "image/avif": Format(heif_items.survey, avif.reencode),
    "image/heic": Format(heif_items.survey, heic.reencode),
    "image/heif": Format(heif_items.survey, heic.reencode),
    "image/tiff": Format(tiff_pages.survey, tiff.reencode),
    "image/bmp": Format(bmp_header.survey, bmp.reencode),
}

_LONGEST_PADDING = 16  # bytes: programs fill up the last word of a file
_PADDING = frozenset(bytes(length) for length in range(_LONGEST_PADDING + 1))

# What Python's and Pillow's decoders raise on a malformed file. Whatever else they raise is a fault of ours.
_MALFORMED = (ValueError, SyntaxError, EOFError, LookupError, ArithmeticError, RuntimeError, struct.error, Warning)

_NO_MEMORY = re.compile(r"(out of|insufficient) memory|memory allocation|(failed to|cannot) allocate", re.IGNORECASE)


def preload() -> None:
    """Get everything ready that a child would otherwise have to look up in the file system."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # the policy's own limit is checked, on the header, before anything is decoded
    vips.preload()


def reencode(
    source: int, target: int, media_type: str, limits: ImageLimits, treatment: Treatment = USUAL
) -> Reencoded | Refused:
    """Write the image anew, or only decode it, as the treatment says; `target` holds rubbish if it is refused.

    Raises `OSError` or `pyvips.Error` where the target cannot be written: that says nothing about the file.
    """
    try:
        with warnings.catch_warnings(action="error"):
            return _reencode(source, Output(target, media_type, treatment), FORMATS[media_type], limits)
    except Refusal as refusal:
        return refusal.refused
    except MemoryError:
        return out_of_memory().refused
    except pyvips.Error as error:
        return _complaint(error).refused
    except OSError as error:
        if error.errno == errno.ENOMEM:
            return out_of_memory().refused
        if error.errno is not None:  # a system call failed; Pillow's own complaints carry no number
            raise
        return _malformed(error).refused
    except _MALFORMED as error:
        return _malformed(error).refused


def _reencode(source: int, output: Output, form: Format, limits: ImageLimits) -> Reencoded:
    with open(source, "rb", closefd=False) as file:
        file.seek(0)
        end = form.survey(file, Tally(limits))
        file.seek(end)
        if output.kept and file.read(_LONGEST_PADDING + 1) not in _PADDING:
            raise more_than_an_image(file.seek(0, os.SEEK_END) - end)
        file.seek(0)
    outcome = form.reencode(source, output, limits)
    if output.kept:
        output.empty()
    return outcome


def _complaint(error: pyvips.Error) -> Refusal:
    """libvips says everything in one text. Raises the error again if we are to blame."""
    text = str(error)
    if "write error" in text or "no such operation" in text:
        raise error
    complaints = [line.strip() for line in text.splitlines()[1:] if line.strip()]  # the first names the operation
    if any(_NO_MEMORY.search(each) for each in complaints):
        return out_of_memory()
    return undecodable(complaints[0] if complaints else "the decoder does not say why")


def _malformed(error: Exception) -> Refusal:
    return undecodable(str(error) or type(error).__name__)
