"""What came of each file of the corpus, against what was to come of it; and the table that says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.corpus import likeness
from tests.corpus.case import Case
from worker import media_types
from worker.scan import PROMOTED, Scan


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case, its scan as it ended, and what is wrong with it: nothing, if all is as expected."""

    case: Case
    scan: Scan
    seconds: float  # from the claim to the end
    faults: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        codes = sorted({reason.code for reason in self.scan.reasons})
        came = f"{self.scan.status} {codes} as {self.scan.detected_type}"
        return f"{self.case}: {'; '.join(self.faults)} [{came}]"


def faults(case: Case, scan: Scan, original: bytes, promoted: bytes | None) -> Iterator[str]:
    """Everything that is not as the case says, as half a sentence each. `promoted`: what lies in the clean bucket."""
    if scan.status is not case.status:
        yield f"{scan.status}, expected {case.status}" + (f" ({scan.error['code']})" if scan.error else "")
    codes = {reason.code for reason in scan.reasons}
    if codes != case.codes:
        yield f"reasons {_listed(codes)}, expected {_listed(case.codes)}"
    if case.type is not None and scan.detected_type != case.type:
        yield f"{scan.detected_type}, expected {case.type}"
    if scan.attempts > 1:
        yield f"it took {scan.attempts} attempts"
    if (promoted is not None) != (scan.status in PROMOTED):
        yield "it is not in the clean bucket" if promoted is None else "it is in the clean bucket"
    elif promoted is not None and scan.status is case.status:
        yield from _changes(scan, original, promoted)


def table(outcomes: Sequence[Outcome]) -> str:
    """A row for each family, and one for all of them."""
    families = list(dict.fromkeys(each.case.family for each in outcomes))
    width = max(map(len, families))
    rows = [_row(family, [each for each in outcomes if each.case.family == family], width) for family in families]
    head = f"{'family':<{width}} {'cases':>6} {'as expected':>12} {'unexpected':>11} {'seconds':>8}"
    return "\n".join([head, *rows, _row("all", outcomes, width)])


def slowest(outcomes: Sequence[Outcome], count: int) -> str:
    """Where the time goes."""
    first = sorted(outcomes, key=lambda each: -each.seconds)[:count]
    return ", ".join(f"{each.case} {each.seconds:.1f} s" for each in first)


def _row(name: str, outcomes: Sequence[Outcome], width: int) -> str:
    wrong = sum(bool(each.faults) for each in outcomes)
    seconds = sum(each.seconds for each in outcomes)
    return f"{name:<{width}} {len(outcomes):>6} {len(outcomes) - wrong:>12} {wrong:>11} {seconds:>8.1f}"


def _changes(scan: Scan, original: bytes, promoted: bytes) -> Iterator[str]:
    """An image may have changed in all but what it shows, anything else not at all."""
    if not media_types.is_image(scan.detected_type or ""):
        if promoted != original:
            yield "its bytes have changed"
        return
    try:
        yield from likeness.differences(original, promoted)
    except Exception as complaint:  # noqa: BLE001 - whatever a decoder raises or warns of
        yield f"an independent decoder says {type(complaint).__name__}: {complaint}"


def _listed(codes: Iterable[str]) -> str:
    return ", ".join(sorted(codes)) or "none"
