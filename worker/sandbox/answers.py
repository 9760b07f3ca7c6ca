"""What goes into the sandbox beside the bytes, and what comes out. Standard library only: both sides import it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from worker.scan import ReasonCode


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Checked on the headers, before anything is decoded. An image beyond one of them is refused."""

    max_pixels: int  # width * height of one frame
    max_frames: int  # of an animation; pages of a TIFF
    max_total_pixels: int = 1_000_000_000  # of all frames together
    max_side: int = 65_535  # pixels; width and height
    max_profile: int = 4 << 20  # bytes of an ICC profile
    max_metadata: int = 64 << 20  # bytes of everything else that is no pixels, uncompressed


@dataclass(frozen=True, slots=True)
class Treatment:
    """What becomes of an image that is accepted."""

    keep: bool = False  # nothing, once it has been decoded to its end; and nothing may stand behind that end
    output: str | None = None  # media type of still images; None: as `OUTPUT_TYPES` says
    quality: int | None = None  # 1 to 100, where pixels are lost; None: what suits the format
    max_width: int | None = None  # pixels; larger images are scaled down, in proportion
    max_height: int | None = None  # likewise

    def types_of(self, media_type: str) -> tuple[str, ...]:
        """What an image of that type may become: a still one, and one of several frames or pages."""
        if self.keep:
            return media_type, media_type
        return self.output or OUTPUT_TYPES[media_type], OUTPUT_TYPES[media_type]


USUAL = Treatment()


@dataclass(frozen=True, slots=True)
class Reencoded:
    """The image that was written, as it is shown: upright. Where it is to be kept, nothing was."""

    type: str  # media type of the output
    width: int  # pixels
    height: int  # pixels, of one frame
    frames: int
    original_width: int  # pixels; before it was scaled down
    original_height: int


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
    exhausting: bool = False  # closed, and made to keep a scanner busy for minutes: to be spared it


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
