"""How large an image is, before and after. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pixels:
    """How large an image is that was made anew, and how large it was; upright, and of an animation one frame."""

    width: int
    height: int
    frames: int  # or pages
    original_width: int
    original_height: int
