"""What an image's headers promise, counted against the limits while they are read: nothing is decoded yet.

Every format has a `survey(file, tally) -> int`: it walks the structure of the file from its start, refuses what is
cut, tells the tally, and returns where the image ends; what stands behind that is no part of it. Runs in the child.
"""

from __future__ import annotations

from worker.sandbox.answers import ImageLimits
from worker.sandbox.refusal import Refusal, check_frames, check_size, undecodable
from worker.scan import ReasonCode

_MOST_STEPS = 1_000_000  # half a second's worth, on a slow machine more


class Tally:
    """Frames, pixels and metadata of one file so far. Its methods raise `Refusal` beyond a limit."""

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits
        self._frames = self._pixels = self._profile = self._metadata = self._steps = 0

    def canvas(self, width: int, height: int) -> None:
        """What the frames are shown on, in pixels, or a part of it."""
        check_size(width, height, self._limits)

    def frame(self, width: int, height: int) -> None:
        """One frame or page, as large as it is stored, in pixels."""
        self.canvas(width, height)
        self._frames += 1
        self._pixels += width * height
        check_frames(self._frames, self._limits)
        if self._pixels > self._limits.max_total_pixels:
            message = f"all frames together are too large, expected at most {self._limits.max_total_pixels} pixels"
            raise Refusal(ReasonCode.IMAGE_TOO_LARGE, message)

    def announced(self, frames: int) -> None:
        """So many are there, the file says."""
        check_frames(frames, self._limits)

    def finish(self) -> None:
        """There are no more frames."""
        check_frames(self._frames, self._limits)

    def profile(self, size: int) -> None:
        """So many bytes of an ICC profile, uncompressed."""
        self._profile += size
        if self._profile > self._limits.max_profile:
            message = f"the colour profile is too large, expected at most {self._limits.max_profile} bytes"
            raise Refusal(ReasonCode.IMAGE_TOO_LARGE, message)

    def metadata(self, size: int) -> None:
        """So many bytes of anything else that is no pixels, uncompressed."""
        self._metadata += size
        if self._metadata > self._limits.max_metadata:
            message = f"the image carries too much metadata, expected at most {self._limits.max_metadata} bytes"
            raise Refusal(ReasonCode.IMAGE_TOO_LARGE, message)

    @property
    def frames_left(self) -> int:
        """How many frames may still come."""
        return self._limits.max_frames - self._frames

    @property
    def profile_left(self) -> int:
        """How many bytes the profile may still have."""
        return self._limits.max_profile - self._profile

    @property
    def metadata_left(self) -> int:
        """How many bytes of metadata may still come."""
        return self._limits.max_metadata - self._metadata

    def step(self, effort: int = 1) -> None:
        """Another piece of the file. A file of nothing but pieces would take for ever to walk through.

        effort: of looking at it, in quarters of a microsecond.
        """
        self._steps += effort
        if self._steps > _MOST_STEPS:
            raise undecodable("it is chopped into too many pieces")
