"""What goes into the sandbox beside the bytes, and what comes out. Standard library only: both sides import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from worker.scan import ReasonCode


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Checked on the header, before anything is decoded."""

    max_pixels: int  # width * height of one frame
    max_frames: int  # of an animation; pages of a TIFF


@dataclass(frozen=True, slots=True)
class Reencoded:
    """The image that was written, as it is shown: upright."""

    type: str  # media type of the output
    width: int  # pixels
    height: int  # pixels, of one frame
    frames: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A finding about the file, never an outage."""

    code: ReasonCode
    message: str  # for the person who uploaded: what failed, what was expected


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the bytes are, whatever their name says."""

    type: str  # media type, lower case; `application/x-empty` for no bytes at all
    also: tuple[str, ...] = ()  # what else other programs would take the very same bytes for
    closed: Refused | None = None  # why nobody can look into it, or into something that it holds


OUTPUT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "image/jpeg": "image/jpeg",
        "image/png": "image/png",
        "image/gif": "image/gif",
        "image/webp": "image/webp",
        "image/avif": "image/avif",
        "image/tiff": "image/tiff",
        # Hardly a browser shows these three, so they leave as something every browser shows.
        "image/heic": "image/jpeg",
        "image/heif": "image/jpeg",
        "image/bmp": "image/png",
    }
)
"""Every media type that can be re-encoded, and the type it is re-encoded to."""
