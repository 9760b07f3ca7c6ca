"""What a check is, and what it can find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from ops.doctor.subject import Subject


class Verdict(StrEnum):
    """From best to worst. `fail`: dangerous, or it could not be looked at."""

    NOT_APPLICABLE = "n/a"
    INFO = "info"  # nothing that could be judged
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """How a thing was found."""

    verdict: Verdict
    found: str


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist."""

    name: str
    what: str  # is looked at
    expected: str
    mend: str  # how, where it was found otherwise
    look: Callable[[Subject], Finding]  # raises whatever keeps it from looking
    seconds: float = 20  # more is a failure


@dataclass(frozen=True, slots=True)
class Result:
    """One line, looked at."""

    check: Check
    finding: Finding


def ok(found: str) -> Finding:
    return Finding(Verdict.OK, found)


def info(found: str) -> Finding:
    return Finding(Verdict.INFO, found)


def warn(found: str) -> Finding:
    return Finding(Verdict.WARN, found)


def fail(found: str) -> Finding:
    return Finding(Verdict.FAIL, found)


def not_applicable(found: str) -> Finding:
    return Finding(Verdict.NOT_APPLICABLE, found)


def danger(subject: Subject, found: str) -> Finding:
    """What development may live with, and production must not."""
    return fail(found) if subject.production else warn(found)


def worst(findings: Iterable[Finding]) -> Finding:
    """Several findings as one: as bad as the worst, which come first."""
    order = list(Verdict)
    ranked = sorted(findings, key=lambda each: -order.index(each.verdict))
    return Finding(ranked[0].verdict, "; ".join(dict.fromkeys(each.found for each in ranked)))


def judged(faults: Iterable[str], sound: str, blame: Callable[[str], Finding] = fail) -> Finding:
    """`sound` where there are no faults, else all of them."""
    listed = list(faults)
    return blame("; ".join(listed)) if listed else ok(sound)
