"""What happens, counted: the functions by which whoever knows of something says so. What they count: `instruments`.

Nothing here raises: whoever counts has something better to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

from worker import steps, telemetry
from worker.instruments import ENDS, LOOKED_AT, Attempt, Delivered, Refused, SecondLook, Step, Way, expect, instruments
from worker.scan import Status
from worker.telemetry import Log

P = ParamSpec("P")


def _harmless(tell: Callable[P, None]) -> Callable[P, None]:
    """A full disk may deny a new process its files, which `metric_files` says; all else is a fault of ours."""

    @wraps(tell)
    def told(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            tell(*arguments, **options)
        except OSError:
            pass
        except Exception as fault:  # noqa: BLE001 - whoever counts has something better to do
            telemetry.alarm(Log.NOT_MEASURED, exc_info=fault)

    return told


@_harmless
def answered(route: str, method: str, status: int, seconds: float, database_calls: int) -> None:
    """A request, by the template of its route."""
    known = instruments()
    known.requests.labels(route, method, str(status)).inc()
    known.request_seconds.labels(route, method).observe(seconds)
    known.database_calls.labels(route).observe(database_calls)


@_harmless
def taken_in(service: str, way: Way, size: int) -> None:
    """A file that is safe in quarantine, and on record."""
    instruments().uploads.labels(service, way.value).inc()
    instruments().upload_bytes.labels(service).inc(size)


@_harmless
def upload_turned_away(why: Refused) -> None:
    instruments().uploads_turned_away.labels(why.value).inc()


@_harmless
def limits_not_counted() -> None:
    instruments().limits_not_counted.inc()


@_harmless
def ended(service: str, status: Status, seconds: float | None) -> None:
    """A decision. `seconds`: since the file's arrival, where this is its first."""
    known = instruments()
    for each in ENDS:  # a service's first failure must not be its first sample
        known.ended.labels(service, each.value)
    known.ended.labels(service, status.value).inc()
    if seconds is not None and status in LOOKED_AT:
        known.scan_seconds.labels(status.value).observe(max(0.0, seconds))


@contextmanager
def step(which: Step) -> Iterator[None]:
    """Around one step, however it ends; the scan's record shows it as well."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - begun
        steps.took(which, seconds)
        _took(which, seconds)


@_harmless
def _took(which: Step, seconds: float) -> None:
    instruments().step_seconds.labels(which.value).observe(seconds)


@_harmless
def attempted(outcome: Attempt) -> None:
    instruments().attempts.labels(outcome.value).inc()


@_harmless
def rescanned(outcome: SecondLook) -> None:
    instruments().rescans.labels(outcome.value).inc()


@_harmless
def swept(findings: Mapping[str, int]) -> None:
    """What one sweep did, by name."""
    for name, number in findings.items():
        instruments().findings.labels(name).inc(number)


@_harmless
def sweep_ended(moment: float) -> None:
    """Without a fault; `moment` in seconds since 1970."""
    instruments().last_sweep.set(moment)


@_harmless
def delivered(outcome: Delivered, number: int = 1) -> None:
    instruments().deliveries.labels(outcome.value).inc(number)


@_harmless
def layers_missing(number: int) -> None:
    """Of the sandbox, on this machine."""
    instruments().layers_missing.set(number)


@_harmless
def sandbox_begun(reasons: Iterable[str]) -> None:
    """`reasons` for which its processes may come to be killed."""
    expect(instruments().kills, reasons)


@_harmless
def sandbox_killed(reason: str) -> None:
    instruments().kills.labels(reason).inc()
