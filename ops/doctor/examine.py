"""Runs the checklist: side by side, each within its time, and none kept from its turn by another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from ops.doctor.check import Check, Finding, Result, Verdict, fail
from ops.doctor.subject import Subject
from worker.errors import LazarettoError

_HIDDEN = "********"
_SHORTEST = 4  # characters; less would hide half of what is said


def examine(checks: Sequence[Check], subject: Subject) -> list[Result]:
    """Every check once, in their order."""
    turns = [_Turn(check, subject) for check in checks]
    for turn in turns:
        turn.start()
    hidden = [each for each in subject.secrets().values() if len(each) >= _SHORTEST]
    return [Result(turn.check, _without(turn.result(), hidden)) for turn in turns]


def passed(results: Sequence[Result]) -> bool:
    """Is there nothing dangerous?"""
    return all(result.finding.verdict is not Verdict.FAIL for result in results)


class _Turn(threading.Thread):
    """One check at work. A daemon: what hangs must not keep the program from ending."""

    def __init__(self, check: Check, subject: Subject) -> None:
        super().__init__(name=check.name, daemon=True)
        self.check = check
        self._subject = subject
        self._finding: Finding | None = None
        self._deadline = time.monotonic() + check.seconds

    def run(self) -> None:
        self._finding = _looked(self.check, self._subject)

    def result(self) -> Finding:
        """Waits for it no longer than the check allows."""
        self.join(max(0.0, self._deadline - time.monotonic()))
        return self._finding or fail(f"could not be looked at: no answer within {self.check.seconds:g} s")


def _looked(check: Check, subject: Subject) -> Finding:
    try:
        return check.look(subject)
    except LazarettoError as fault:
        return fail(f"could not be looked at: {fault.message}")
    except Exception as fault:  # noqa: BLE001 - whatever it is, nothing is known to be sound
        return fail(f"could not be looked at: {type(fault).__name__}: {fault}")


def _without(finding: Finding, hidden: list[str]) -> Finding:
    """No secret is printed, whichever library's fault quotes it."""
    found = finding.found
    for secret in hidden:
        found = found.replace(secret, _HIDDEN)
    return replace(finding, found=found)
