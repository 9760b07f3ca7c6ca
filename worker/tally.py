"""What ended, counted: in memory, and as the document that a roll-up is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from worker.scan import OUTCOMES
from worker.statistics import Latency

_GROWTH = math.log(1.1)  # from one bucket of the histogram to the next: its middle is 5 % away at most
_SHORTEST = 0.001  # seconds
_MOST_TYPES = 200  # of one hour; how many there are is up to whoever sends files
OTHER = "other"


class End(NamedTuple):
    """The end of a decision."""

    service: str
    status: str
    type: str | None  # as detected
    codes: str | None  # with commas
    size: int | None  # bytes
    seconds: float | None  # from the queue to here


@dataclass(slots=True)
class Tally:
    """Counts. Whatever was decided by examining a file counts in all of them, every other end by its status alone."""

    statuses: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)  # of what ended for all services together
    types: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    latency: Counter[int] = field(default_factory=Counter)  # by bucket
    bytes: int = 0

    def add(self, end: End) -> None:
        """One more."""
        self.statuses[end.status] += 1
        if end.status not in OUTCOMES:
            return
        self.bytes += end.size or 0
        if end.type:
            known = end.type in self.types or len(self.types) < _MOST_TYPES
            self.types[end.type if known else OTHER] += 1
        if end.codes:
            self.reasons.update(end.codes.split(","))
        if end.seconds is not None:
            self.latency[_bucket(end.seconds)] += 1

    def merge(self, other: Self) -> None:
        """What both have counted."""
        for mine, theirs in zip(self._counters(), other._counters(), strict=True):
            mine.update(theirs)
        self.bytes += other.bytes

    def _counters(self) -> tuple[Counter[Any], ...]:
        return self.statuses, self.services, self.types, self.reasons, self.latency

    def document(self) -> dict[str, Any]:
        """As it is kept, in JSON, whose keys are text."""
        status, service, kind, reason, latency = (
            {str(key): number for key, number in counter.items()} for counter in self._counters()
        )
        told = {"status": status, "service": service, "type": kind, "reason": reason, "latency": latency}
        return {name: value for name, value in told.items() if value} | {"bytes": self.bytes}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """As it was kept."""
        status, service, kind, reason = (Counter(document.get(n, {})) for n in ("status", "service", "type", "reason"))
        latency = Counter({int(bucket): number for bucket, number in document.get("latency", {}).items()})
        return cls(status, service, kind, reason, latency, document["bytes"])

    def percentiles(self) -> Latency | None:
        """Of latency, within 5 %. None: nothing was examined."""
        number = self.latency.total()
        if not number:
            return None
        return Latency(*(self._below(math.ceil(number * share)) for share in (0.5, 0.95, 0.99)))

    def _below(self, rank: int) -> float:
        """Seconds within which so many ended."""
        seen = 0
        for bucket in sorted(self.latency):
            seen += self.latency[bucket]
            if seen >= rank:
                break
        return round(_SHORTEST * math.exp(bucket * _GROWTH), 4)


def tallies(ends: Iterable[End]) -> dict[str, Tally]:
    """By service; under the empty name that of all together."""
    made: dict[str, Tally] = {"": Tally()}
    for end in ends:
        made.setdefault(end.service, Tally()).add(end)
        made[""].add(end)
        made[""].services[end.service] += 1
    return made


def _bucket(seconds: float) -> int:
    return round(math.log(max(seconds, _SHORTEST) / _SHORTEST) / _GROWTH)
