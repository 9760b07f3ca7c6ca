"""Lanes: in which queue a scan waits, so that what takes its time delays nothing that does not."""

from __future__ import annotations

from enum import StrEnum

from worker.media_types import KNOWN, bare_type, extension_of


class Lane(StrEnum):
    """A queue of scans, the most urgent first. `scans` has workers to itself; the others share some that step back."""

    SCANS = "scans"
    LARGE = "large"  # uploads that take long by themselves
    BULK = "bulk"  # what nobody waits for: many at once, or files of years ago


_ARCHIVES = frozenset({"application/zip", "application/x-7z-compressed", "application/vnd.rar"})
_UNKNOWN = ("tar", "tgz", "gz", "bz2", "xz", "iso", "jar")  # archives that are scanned, but never promoted
_DENSE = [each for each in KNOWN if each.image or each.name in _ARCHIVES]
_EXTENSIONS = frozenset(_UNKNOWN).union(*(each.extensions for each in _DENSE))
_DECLARED = frozenset(each.name for each in _DENSE).union(*(each.aliases for each in _DENSE))
# What a byte of theirs costs, against one of text or PDF: 5 times as much in a photo; in an archive nobody knows.
_DENSITY = 4


def lane_of(size: int, filename: str, declared_type: str | None, large_size: int) -> Lane:
    """Where an upload waits; name and type are its client's words, for nobody has looked at it yet. Who lies about
    them gains little: a file that costs its worker the life is large from then on. Sizes in bytes."""
    dense = extension_of(filename) in _EXTENSIONS or bare_type(declared_type) in _DECLARED
    return Lane.LARGE if size >= (large_size // _DENSITY if dense else large_size) else Lane.SCANS


def suspect(lane: Lane) -> Lane:
    """Where a file waits that its worker has died of: never again in front of those that harm nobody."""
    return Lane.LARGE if lane is Lane.SCANS else lane
