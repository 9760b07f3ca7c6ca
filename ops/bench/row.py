"""One figure of the benchmarks, with what it is measured against."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`value` is what is wanted small; `floor` is what no implementation gets below, in the same unit."""

    name: str
    value: float
    unit: str
    floor: float
    ratio: float  # what it takes in all, over the floor
    target: float  # the value to stay below

    @property
    def met(self) -> bool:
        return self.value < self.target

    def record(self) -> dict[str, Any]:
        """As it is written."""
        return asdict(self) | {"met": self.met}
