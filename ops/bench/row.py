"""One figure of the benchmarks, beside the least that the same work costs: its floor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_DIGITS = 4


class Better(StrEnum):
    """Which way a figure improves."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Row:
    """`floor` is what the parts alone do, in the same unit and measured in the same run.

    `target` is what the ratio has to reach (`better` says from which side); where `absolute`, the value itself has
    to. None: nothing was promised.
    """

    name: str
    value: float
    unit: str
    floor: float
    better: Better
    target: float | None = None
    absolute: bool = False

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.value / self.floor

    @property
    def met(self) -> bool | None:
        """Is it where it should be? None where there is no target."""
        if self.target is None:
            return None
        judged = self.value if self.absolute else self.ratio
        return judged >= self.target if self.better is Better.HIGHER else judged <= self.target

    @property
    def wanted(self) -> str:
        """The target in words: `>= 0.5`, a ratio, or `<= 64 MiB`, a value."""
        if self.target is None:
            return f"{self.better} is better"
        return f"{'>=' if self.better is Better.HIGHER else '<='} {self.target:g}{self._of}"

    @property
    def _of(self) -> str:
        return f" {self.unit}" if self.absolute else ""

    def record(self) -> dict[str, Any]:
        """As it is written."""
        figures = {"value": self.value, "unit": self.unit, "floor": self.floor, "ratio": self.ratio}
        rounded = {name: round(each, _DIGITS) if isinstance(each, float) else each for name, each in figures.items()}
        return {"name": self.name} | rounded | {"target": self.target, "met": self.met}
