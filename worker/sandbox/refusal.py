"""How a decoder says that it will not have this file; it becomes a `Refused` on the way out."""

from __future__ import annotations

from worker.sandbox.answers import ImageLimits, Refused
from worker.scan import ReasonCode

_LONGEST_COMPLAINT = 300  # characters


class Refusal(Exception):
    """The image cannot be accepted."""

    def __init__(self, code: ReasonCode, message: str) -> None:
        super().__init__(message)
        self.refused = Refused(code, message)


def undecodable(what: str) -> Refusal:
    """`what` is wrong with the image, as half a sentence; a decoder's words about hostile bytes are tamed."""
    what = "".join(each if each.isprintable() else " " for each in what[:_LONGEST_COMPLAINT])
    message = f"the image could not be decoded: {what}; expected a complete and valid image file"
    return Refusal(ReasonCode.IMAGE_UNDECODABLE, message)


def out_of_memory() -> Refusal:
    """The sandbox's memory limit was hit, and the decoder noticed."""
    return undecodable("it takes more memory than one image may use")


def more_than_an_image(excess: int) -> Refusal:
    """The original is to be kept, and so many bytes stand behind the image's end: they may be another file."""
    message = f"{excess} bytes stand behind the end of the image, expected none where images are kept as they are"
    return Refusal(ReasonCode.TYPE_MISMATCH, message)


def check_size(width: int, height: int, limits: ImageLimits) -> None:
    """Raise `Refusal` unless one frame of so many pixels is allowed, and is a frame at all."""
    if width < 1 or height < 1:
        raise undecodable(f"it is {width} x {height} pixels large")
    if max(width, height) > limits.max_side:
        message = f"the image is {width} x {height} pixels large, expected at most {limits.max_side} to a side"
        raise Refusal(ReasonCode.IMAGE_TOO_LARGE, message)
    if width * height > limits.max_pixels:
        message = f"the image is {width} x {height} pixels large, expected at most {limits.max_pixels} pixels"
        raise Refusal(ReasonCode.IMAGE_TOO_LARGE, message)


def check_frames(frames: int, limits: ImageLimits) -> None:
    """Raise `Refusal` unless so many frames are allowed, and there is one at all."""
    if frames < 1:
        raise undecodable("it holds no frame")
    if frames > limits.max_frames:
        message = f"the image has more frames or pages than allowed, expected at most {limits.max_frames}"
        raise Refusal(ReasonCode.IMAGE_TOO_MANY_FRAMES, message)
