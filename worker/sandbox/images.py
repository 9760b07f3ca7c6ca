"""Re-encode one image: which format goes where, and what a decoder's complaint means. Runs in the child."""

from __future__ import annotations

import errno
import re
import struct
import warnings
from collections.abc import Callable, Mapping

import pyvips
from PIL import Image

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded, Refused
from worker.sandbox.formats import avif, bmp, gif, heic, jpeg, png, tiff, webp
from worker.sandbox.refusal import Refusal, out_of_memory, undecodable

FORMATS: Mapping[str, Callable[[int, int, ImageLimits], Reencoded]] = {
    "image/jpeg": jpeg.reencode,
    "image/png": png.reencode,
    "image/gif": gif.reencode,
    "image/webp": webp.reencode,
    "image/avif": avif.reencode,
    "image/heic": heic.reencode,
    "image/heif": heic.reencode,
    "image/tiff": tiff.reencode,
    "image/bmp": bmp.reencode,
}

# What Python's and Pillow's decoders raise on a malformed file. Whatever else they raise is a fault of ours.
_MALFORMED = (ValueError, SyntaxError, EOFError, LookupError, ArithmeticError, RuntimeError, struct.error, Warning)

_NO_MEMORY = re.compile(r"(out of|insufficient) memory|memory allocation|(failed to|cannot) allocate", re.IGNORECASE)


def preload() -> None:
    """Get everything ready that a child would otherwise have to look up in the file system."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # the policy's own limit is checked, on the header, before anything is decoded
    vips.preload()


def reencode(source: int, target: int, media_type: str, limits: ImageLimits) -> Reencoded | Refused:
    """Write the image anew; `target` holds rubbish if it is refused.

    Raises `OSError` or `pyvips.Error` where the target cannot be written: that says nothing about the file.
    """
    try:
        with warnings.catch_warnings(action="error"):
            return FORMATS[media_type](source, target, limits)
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
