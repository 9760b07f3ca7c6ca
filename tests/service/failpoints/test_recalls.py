"""Whatever happens anywhere in a rescan that finds malware."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import pytest

from ops.embedded.clamd_server import Clamd
from tests import effects
from tests.calendar import Calendar
from tests.effects import Point
from tests.failpoints import LATER, Injected, erase, fail, judge, killed, upload
from tests.later import known_malware
from tests.system import System
from worker.operations import Order
from worker.rescans import Rescans
from worker.scan import Mover, Status


def _ask(system: System, scan_id: str) -> None:
    asked = Rescans(system.database, system.queue)
    asked.ask(system.scan(scan_id), Order("operator:test", Mover.OPERATOR))


def _rescan(system: System, scan_id: str) -> None:
    system.parts.rescan(scan_id)


@contextmanager
def _recalls(system: System, clamd: Clamd, every: int) -> Iterator[dict[str, Point]]:
    """A clean file for every so many points that a rescan passes which finds malware: inside the block it is known."""
    first = system.work(upload(system, LATER)).id
    _ask(system, first)
    with known_malware(clamd):
        points = effects.recorded(system.objects, partial(system.parts.rescan, first))
    found = {system.work(upload(system, LATER)).id: point for point in points[::every]}
    with known_malware(clamd):
        yield found


def test_a_recall_that_is_killed_anywhere(system: System, calendar: Calendar, clamd: Clamd) -> None:
    with _recalls(system, clamd, 1) as points:
        for scan_id, point in points.items():
            _ask(system, scan_id)
            assert killed(system, point, partial(_rescan, scan_id=scan_id)), point
        system.recover(calendar)
    _judge_recalled(system, points, Status.INFECTED)


Action = Callable[[str, System, System, Calendar], None]
ACTIONS: dict[str, Action] = {
    "a fault": lambda _scan_id, _system, _other, _calendar: fail(),
    "an erasure": lambda scan_id, system, _other, _calendar: erase(scan_id, system),
    "a stall": lambda _scan_id, _system, other, calendar: other.recover(calendar),
}


@pytest.mark.parametrize("happens", ACTIONS)
def test_what_else_can_happen_to_a_recall_anywhere(
    system: System, calendar: Calendar, clamd: Clamd, happens: str, request: pytest.FixtureRequest
) -> None:
    """A fault that nobody foresaw; an erasure; or time passes, another finishes it, and then it goes on where it
    stood."""
    every = 1 if request.config.getoption("--torture") else 6
    other = system.with_settings(home=system.settings.home)
    other.parts.scanners.check()
    with _recalls(system, clamd, every) as points:
        for scan_id, point in points.items():
            if happens != "a fault" and point.name == "before commit":
                continue
            _ask(system, scan_id)
            action = partial(ACTIONS[happens], scan_id, system, other, calendar)
            with effects.at(system.objects, point, action) as reached, suppress(Injected):
                system.parts.rescan(scan_id)
            assert reached, point
        system.recover(calendar)
    other.parts.close()
    outcome = Status.ERASED if happens == "an erasure" else Status.INFECTED
    _judge_recalled(system, points, outcome, Status.INFECTED, Status.CLEAN)
    assert {system.scan(scan_id).status for scan_id in points} <= {outcome, Status.CLEAN}


def _judge_recalled(system: System, points: Mapping[str, Point], *outcomes: Status) -> None:
    judge(system, points, *outcomes)
    assert system.rescans() == []
    moved = [scan_id for scan_id, point in points.items() if point.name != "before commit"]
    assert moved
    assert {system.scan(scan_id).decision for scan_id in moved} <= {2, 3}
