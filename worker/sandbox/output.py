"""Where an image goes, and what the policy says is to become of it. Runs in the child."""

from __future__ import annotations

import os
from typing import Any

from worker.sandbox import vips
from worker.sandbox.answers import Reencoded, Treatment
from worker.sandbox.encoders import ENCODERS, LARGEST_SIDE, Traits
from worker.sandbox.refusal import Refusal
from worker.scan import ReasonCode

_ANY_SIDE = 1 << 24  # pixels: more than any limit


class Output:
    """One image to come, of one frame or of several."""

    def __init__(self, descriptor: int, media_type: str, treatment: Treatment) -> None:
        """descriptor: of an empty file. media_type: of the original."""
        self._descriptor, self._treatment = descriptor, treatment
        self._still, self._animated = treatment.types_of(media_type)
        self._original: tuple[int, int] | None = None  # how large it was, upright

    @property
    def kept(self) -> bool:
        """Is the original kept, so that all there is to do is to decode it?"""
        return self._treatment.keep

    @property
    def quality(self) -> int | None:
        """1 to 100, where pixels are lost; None: what suits the format."""
        return self._treatment.quality

    @property
    def converts(self) -> bool:
        """Does a still image become another type?"""
        return self._still != self._animated

    def fits(self, width: int, height: int) -> bool:
        """May it stay that large? Asked of every image, and of the first of several first."""
        self._original = self._original or (width, height)
        return self.kept or (width <= self._width and height <= self._height)

    def fitted(self, image: Any) -> Any:
        """The image, or each frame of it, scaled down where it is too large."""
        if self.fits(image.width, vips.page_height(image)):
            return image
        return vips.fitted(image, self._width, self._height)

    def still(self, image: Any, traits: Traits = Traits()) -> Reencoded:  # noqa: B008 - it cannot be changed
        """Write an image of one frame, in its final colours and upright."""
        image = self.fitted(image)
        if self.kept:
            vips.exhaust(image)
        else:
            _check_side(image, self._still)
            ENCODERS[self._still](image, self.empty(), traits, self.quality)
        return self._reencoded(self._still, image.width, image.height, frames=1)

    def several(self, width: int, height: int, frames: int) -> Reencoded:
        """What to answer once an animation, or a document of several pages, has been written."""
        return self._reencoded(self._animated, width, height, frames)

    def empty(self) -> int:
        """The descriptor to write to, whatever an earlier attempt has left there."""
        if os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return self._descriptor

    def read_back(self) -> bytes:
        """What has been written."""
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def _reencoded(self, media_type: str, width: int, height: int, frames: int) -> Reencoded:
        return Reencoded(media_type, width, height, frames, *(self._original or (width, height)))

    @property
    def _width(self) -> int:
        return self._treatment.max_width or _ANY_SIDE

    @property
    def _height(self) -> int:
        return self._treatment.max_height or _ANY_SIDE


def _check_side(image: Any, media_type: str) -> None:
    largest = LARGEST_SIDE.get(media_type, _ANY_SIDE)
    if max(image.width, image.height) > largest:
        size = f"{image.width} x {image.height} pixels large"
        message = f"the image is {size}, and is to become {media_type}; expected at most {largest} to a side"
        raise Refusal(ReasonCode.IMAGE_TOO_LARGE, message)
