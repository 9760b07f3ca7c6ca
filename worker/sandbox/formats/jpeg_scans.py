"""Which parts of a JPEG its scans bring (ITU-T T.81, B.2.3 and G.1.1.1): too many, or not all of them?

A progressive JPEG that ends behind a scan decodes without a complaint, and shows less than it should: it is cut.
"""

from __future__ import annotations

from worker.sandbox.refusal import undecodable

_MOST_SCANS = 100  # as libvips has it; the best compressors write about 20
_ALL = 2**64 - 1  # one bit for each coefficient of a block


class Scans:
    """What has come of each component: the coefficients that are there to their last bit."""

    def __init__(self) -> None:
        self._come: dict[int, int] = {}
        self._count, self._sequential = 0, True

    def begin(self, frame: bytes, *, sequential: bool) -> None:
        """frame: the content of its header, whose size is known to be right for at least one component."""
        self._sequential = sequential
        self._come = dict.fromkeys(frame[6 : 6 + 3 * frame[5] : 3], 0)

    def add(self, scan: bytes) -> None:
        """scan: the content of its header. Raises `Refusal` beyond any number that makes sense."""
        self._count += 1
        if self._count > _MOST_SCANS:
            raise undecodable(f"it has more than {_MOST_SCANS} scans")
        if not scan or len(scan) < 4 + 2 * scan[0]:
            raise undecodable("the header of a scan is too short")
        first, last, approximation = scan[1 + 2 * scan[0] :][:3]
        coefficients = _ALL if self._sequential else (1 << min(last, 63) + 1) - (1 << min(first, 63))
        if self._sequential or not approximation & 15:
            for component in scan[1 : 1 + 2 * scan[0] : 2]:
                self._come[component] = self._come.get(component, 0) | coefficients

    def check(self) -> None:
        """There are no more. Raises `Refusal` if anything has not come."""
        if any(come != _ALL for come in self._come.values()):
            raise undecodable("the last scans of the JPEG are missing")
