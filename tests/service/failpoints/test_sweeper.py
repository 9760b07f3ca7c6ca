"""A sweeper that dies anywhere."""

from __future__ import annotations

from tests import effects
from tests.calendar import Calendar
from tests.failpoints import FILES, PDF, judge, killed, upload
from tests.system import System, incoming
from worker import clock
from worker.keys import sealed_key
from worker.scan import Cause, Mover, Status
from worker.store import claims, scans


def test_a_sweeper_that_is_killed_anywhere(system: System, calendar: Calendar) -> None:
    """There is something to do in each of its steps."""
    _misery(system, calendar)
    for point in effects.recorded(system.objects, system.sweep):
        _misery(system, calendar)
        assert killed(system, point, System.sweep), point
    system.recover(calendar)
    judge(system, {}, Status.CLEAN, Status.EXPIRED)


def _misery(system: System, calendar: Calendar) -> None:
    """A lost worker, an upload without a client, one that ended and left its bytes, and a scan that nobody enqueued."""
    lost, _unqueued = upload(system, FILES["document"]), upload(system, FILES["document"])
    _abandoned, left = _begun(system), _begun(system)
    with system.database.write() as connection:
        claims.take(connection, lost, Cause(Mover.WORKER, "test"), clock.now())
        expired = Cause(Mover.SWEEPER, "test")
        scans.move(connection, left, Status.RECEIVING, Status.EXPIRED, expired, tidy_at=clock.now())
    system.flush_queue()
    calendar.pass_time(system.settings.receive_lease)


def _begun(system: System) -> str:
    """An upload whose bytes are in quarantine, and whose end nobody has put on record."""
    scan = system.intake()._begin(incoming())
    system.objects.put(system.settings.quarantine_bucket, sealed_key(scan.id), PDF)
    return scan.id
