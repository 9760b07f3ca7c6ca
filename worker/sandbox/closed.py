"""What nobody can look into, told from inside a reader. Runs in the child."""

from __future__ import annotations

from worker.sandbox.answers import Refused
from worker.scan import ReasonCode


class Closed(Exception):
    """The file, or something in it, stays unseen by every scanner."""

    def __init__(self, code: ReasonCode, message: str, *, exhausting: bool = False) -> None:
        """`exhausting`: a scanner that tried would be busy for minutes."""
        super().__init__(message)
        self.refused, self.exhausting = Refused(code, message), exhausting


def encrypted(what: str) -> Closed:
    """`what`: "the document", in the words of somebody who uploaded it."""
    message = f"Nobody can look into it: {what} is encrypted, expected one without password or protection."
    return Closed(ReasonCode.ENCRYPTED, message)


def unopenable(why: str, *, exhausting: bool = False) -> Closed:
    """`why`: what keeps a scanner from looking into it, as half a sentence."""
    message = f"The scanner cannot look into all of it: {why}."
    return Closed(ReasonCode.SCAN_LIMITS_EXCEEDED, message, exhausting=exhausting)


def too_slow(seconds: float) -> Closed:
    """Looking into it has taken `seconds` of processor time."""
    message = f"Looking into all that it holds takes too long, expected at most {seconds:g} seconds."
    return Closed(ReasonCode.SCAN_TIMED_OUT, message)
