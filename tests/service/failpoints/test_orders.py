"""Whatever happens anywhere in what an operator or an owner asks for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests import effects
from tests.calendar import Calendar
from tests.effects import Point
from tests.failpoints import FILES, PDF, SECRET, erase, judge, killed, swap, upload
from tests.system import System
from worker.operations import Order
from worker.scan import Mover, Status


@pytest.mark.parametrize("worked", [False, True], ids=["waiting", "promoted"])
def test_an_erasure_that_is_killed_anywhere(system: System, calendar: Calendar, worked: bool) -> None:
    def prepared() -> str:
        scan_id = upload(system, FILES["document"])
        if worked:
            system.work(scan_id)
        return scan_id

    points = {}
    for point in effects.recorded(system.objects, partial(erase, prepared(), system)):
        scan_id = prepared()
        points[scan_id] = point
        assert killed(system, point, partial(erase, scan_id)), point
    system.recover(calendar)
    judge(system, points, Status.CLEAN, Status.ERASED)
    erased = [system.scan(scan_id).status is Status.ERASED for scan_id in points]
    assert erased == [point != Point("before commit", 1) for point in points.values()]


def _released(system: System) -> str:
    """A file that was held, and that an operator has released: a worker's turn."""
    held = system.outcome(SECRET, "secret.zip")
    system.operations().release(held, Order("test", Mover.OPERATOR, reason="opened it"))
    return held.id


def test_a_release_that_is_killed_anywhere(system: System, calendar: Calendar) -> None:
    points = {}
    for point in effects.recorded(system.objects, partial(system.work, _released(system))):
        scan_id = _released(system)
        points[scan_id] = point
        assert killed(system, point, partial(System.work, scan_id=scan_id)), point
    system.recover(calendar)
    judge(system, points, Status.RELEASED)
    assert all(system.read(system.scan(scan_id)) == SECRET for scan_id in points)


def test_an_object_that_is_swapped_anywhere_in_its_release(system: System, calendar: Calendar) -> None:
    points = {}
    for point in effects.recorded(system.objects, partial(system.work, _released(system))):
        scan_id = _released(system)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(swap, system, scan_id, PDF)):
            ended = system.work(scan_id)
        assert ended.status is Status.REJECTED or system.read(ended) == SECRET, point
    system.recover(calendar)
    judge(system, points, Status.RELEASED, Status.REJECTED)


def _tried_again(scan_id: str, system: System) -> None:
    system.operations().retry(system.scan(scan_id), Order("test", Mover.OPERATOR))


@pytest.mark.parametrize("order", [_tried_again, erase], ids=["retry", "erasure"])
def test_an_order_that_is_killed_anywhere(
    system: System, calendar: Calendar, order: Callable[[str, System], None]
) -> None:
    """About a file that is held."""
    points = {}
    for point in effects.recorded(system.objects, partial(order, system.outcome(SECRET, "a.zip").id, system)):
        scan_id = system.outcome(SECRET, "a.zip").id
        points[scan_id] = point
        assert killed(system, point, partial(order, scan_id)), point
    system.recover(calendar)
    judge(system, points, Status.UNSCANNABLE, Status.ERASED)
