"""One file of the corpus, and what must become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker.scan import ReasonCode, Status


@dataclass(frozen=True, slots=True)
class Case:
    """A file as somebody uploads it, under the policy that Lazaretto ships."""

    family: str  # a row of the table that the suite prints
    name: str  # what is special about it; unique within its family
    filename: str
    make: Callable[[], bytes]
    status: Status = Status.CLEAN
    codes: frozenset[ReasonCode] = frozenset()  # all codes of its reasons, and no others
    declared: str | None = None  # the client's Content-Type
    type: str | None = None  # the type that must be detected; None: any
    seconds: float | None = None  # the verdict of the sandbox must be there by then; None: the general limit

    def __str__(self) -> str:
        return f"{self.family}: {self.name}"
