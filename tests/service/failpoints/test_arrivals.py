"""Whatever happens anywhere before a scan: in an upload, and in a backfill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from uuid import uuid4

import pytest

from tests import effects
from tests.calendar import Calendar
from tests.failpoints import FILES, PDF, Injected, erase, fail, judge, killed, upload
from tests.system import System, incoming
from worker.adapters.objects import Place
from worker.intake import UploadOvertaken
from worker.scan import Status
from worker.sweep_buckets import BucketSweeper


@pytest.mark.parametrize("name", ["document", "in parts"])
def test_an_upload_that_is_killed_anywhere(system: System, calendar: Calendar, name: str) -> None:
    for point in effects.recorded(system.objects, partial(upload, system, FILES[name])):
        assert killed(system, point, partial(upload, file=FILES[name])), point
    system.recover(calendar)
    judge(system, {}, Status.CLEAN, Status.EXPIRED)


@pytest.mark.parametrize("name", ["document", "in parts"])
def test_a_fault_anywhere_in_an_upload(system: System, calendar: Calendar, name: str) -> None:
    points = {}
    for point in effects.recorded(system.objects, partial(upload, system, FILES[name])):
        with effects.at(system.objects, point, fail) as reached, suppress(Injected):
            upload(system, FILES[name])
        assert reached, point
        points[system.newest().id] = point
    system.recover(calendar)
    judge(system, points, Status.CLEAN, Status.EXPIRED)


def test_an_upload_that_is_erased_meanwhile_and_then_killed_anywhere(system: System, calendar: Calendar) -> None:
    """The sweeper has looked by then, one lease after the erasure: an upload's own lease is longer."""
    points = effects.recorded(system.objects, partial(_upload_erased_meanwhile, system, calendar))
    for point in points:
        assert killed(system, point, partial(_upload_erased_meanwhile, calendar=calendar)), point
    system.recover(calendar)
    judge(system, {}, Status.EXPIRED, Status.ERASED)


def _upload_erased_meanwhile(system: System, calendar: Calendar) -> None:
    def meanwhile() -> None:
        erase(system.newest().id, system)
        calendar.pass_time(system.settings.lease_seconds + 1)
        list(BucketSweeper(system.database, system.objects, system.settings).tidy())  # no more: each run is the same

    async def body() -> AsyncIterator[bytes]:
        yield PDF
        await asyncio.to_thread(meanwhile)
        yield PDF

    with suppress(UploadOvertaken):
        asyncio.run(system.intake().receive(incoming(), body(), dict))


def test_a_backfill_that_is_killed_anywhere_is_made_good_by_the_next(system: System, calendar: Calendar) -> None:
    bucket, folder = system.legacy_bucket(), uuid4()

    def put(number: int) -> Place:
        source = Place(bucket, f"{folder}/{number}/")
        for name in ("a.pdf", "b.pdf"):
            system.objects.put(bucket, source.key + name, PDF)
        return source

    points = effects.recorded(system.objects, partial(_backfill, system, put(0)))
    for number, point in enumerate(points, 1):
        source = put(number)
        assert killed(system, point, partial(_backfill, source=source)), point
        _backfill(system, source)
    system.recover(calendar)
    judge(system, {}, Status.CLEAN)
    assert len(system.all()) == 2 * (1 + len(points))


def _backfill(system: System, source: Place) -> None:
    for _ in system.backfill(source).run("operator:test"):
        pass
