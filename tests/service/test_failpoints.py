"""Something happens between any two effects; then time passes, and the same must hold as ever.

The judge is `tests.audit`: one terminal status and event for each decision, objects exactly where the status says,
nothing clean that should not be, nothing left behind.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

import pytest
from PIL import Image

from ops.embedded.clamd_server import Clamd
from ops.samples.unwelcome import executable
from tests import effects
from tests.audit import audit
from tests.calendar import Calendar
from tests.effects import Point
from tests.later import MALWARE, known_malware
from tests.system import System, incoming
from worker import clock
from worker.adapters import object_store
from worker.adapters.objects import Place
from worker.canaries import eicar, encrypted_zip
from worker.intake import UploadOvertaken
from worker.keys import sealed_key
from worker.operations import Order
from worker.rescans import Rescans
from worker.scan import Cause, Mover, ReasonCode, Status
from worker.store import claims, scans
from worker.sweep_buckets import BucketSweeper

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
# Two files of one MD5 (Xiaoyun Wang and others, https://eprint.iacr.org/2004/199): six bits are all that differs.
COLLISION = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
COLLIDING = bytes(each ^ 0x80 if at in (19, 45, 59, 83, 109, 123) else each for at, each in enumerate(COLLISION))
SECRET = encrypted_zip()
SMALL_PART = 5 * 2**20  # bytes; S3 takes no smaller one


@dataclass(frozen=True)
class File:
    """A file, and what must become of it."""

    data: bytes
    name: str
    outcome: Status
    direct: bool = False  # written into the store by its service
    old: bool = False  # in a bucket that was there before us


class Injected(Exception):
    """A fault that nobody foresaw."""


def _photo() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 48), 40).convert("RGB").save(out, "JPEG")
    return out.getvalue()


FILES = {
    "document": File(PDF, "report.pdf", Status.CLEAN),
    "in parts": File(PDF.ljust(SMALL_PART + 1), "large.pdf", Status.CLEAN),
    "photo": File(_photo(), "photo.jpg", Status.CLEAN),
    "infected": File(eicar(), "invoice.txt", Status.INFECTED),
    "rejected": File(executable(), "photo.jpg", Status.REJECTED),
    "held": File(SECRET, "secret.zip", Status.UNSCANNABLE),
    "direct": File(PDF, "direct.pdf", Status.CLEAN, direct=True),
    "direct in parts": File(PDF.ljust(SMALL_PART + 1), "large.pdf", Status.CLEAN, direct=True),
    "backfilled": File(PDF, "old.pdf", Status.CLEAN, old=True),
    "direct and held": File(SECRET, "secret.zip", Status.UNSCANNABLE, direct=True),
}

LATER = File(b"Nothing to see here. " + MALWARE, "later.txt", Status.CLEAN)


SOME = ("document", "photo", "direct")  # all of them in the long form


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "file" in metafunc.fixturenames:
        names = FILES if metafunc.config.getoption("--torture") else SOME
        metafunc.parametrize("file", [FILES[name] for name in names], ids=names)


@pytest.fixture
def system(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    """With parts small enough for a file of several, and scanners that have been looked at: no canary is an effect
    of a scan."""
    monkeypatch.setattr(object_store, "PART", SMALL_PART)
    monkeypatch.setattr(object_store, "COPY_PART", SMALL_PART)
    smaller = replace(system, settings=system.settings.model_copy(update={"part_size": SMALL_PART}))
    smaller.parts.scanners.check()
    return smaller


def _upload(system: System, file: File) -> str:
    if file.old:
        return system.upload_long_ago(file.data, file.name).id
    take_in = system.upload_direct if file.direct else system.upload
    return take_in(file.data, file.name).id


def _scanned(system: System, file: File) -> Callable[[], object]:
    """The work of one task, on a new scan."""
    return partial(system.work, _upload(system, file))


def _erase(scan_id: str, system: System) -> None:
    system.operations().erase(system.scan(scan_id), Order("test", Mover.SERVICE))


def _judge(system: System, points: Mapping[str, Point], *outcomes: Status) -> None:
    """Nothing may be wrong with the whole system. `points`: what happened to which scan, and where; `outcomes`: all
    that scans may have come to."""
    wrong = audit(system.database, system.objects, system.settings, {})
    wrong += [f"{scan.id} is {scan.status}" for scan in system.all() if scan.status not in outcomes]
    blamed = {scan_id: str(point) for scan_id, point in points.items() if any(scan_id in each for each in wrong)}
    assert (wrong, blamed) == ([], {})


def _fail() -> None:
    raise Injected


def _outside_transactions(points: list[Point]) -> list[Point]:
    """Where somebody else can write to the database meanwhile."""
    return [point for point in points if point.name != "before commit"]


def _swap(system: System, scan_id: str, data: bytes) -> None:
    """Only while something is there: nobody but us writes to sealed keys, so an intruder's object would stay."""
    bucket, key = system.settings.quarantine_bucket, sealed_key(scan_id)
    if system.objects.head(bucket, key):
        system.objects.put(bucket, key, data)


def _killed(system: System, point: Point, work: Callable[[System], object]) -> bool:
    """Do `work` in a process of its own that is killed at `point`; was it reached?"""
    pid = os.fork()
    if pid == 0:
        try:
            own = system.in_a_fork(alone=True)
            with effects.at(own.objects, point, partial(_die, own)):
                work(own)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def _die(system: System) -> None:
    with system.sandbox.idle():
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_anywhere(system: System, calendar: Calendar, file: File) -> None:
    points = {}
    for point in effects.recorded(system.objects, _scanned(system, file)):
        scan_id = _upload(system, file)
        points[scan_id] = point
        assert _killed(system, point, partial(System.work, scan_id=scan_id)), point
    system.recover(calendar)
    _judge(system, points, file.outcome)


# The answer whose body boto3 is made to throw away.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_fault_anywhere(system: System, calendar: Calendar, file: File) -> None:
    points = {}
    for point in effects.recorded(system.objects, _scanned(system, file)):
        scan_id = _upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, _fail) as reached, suppress(Injected):
            system.work(scan_id)
        assert reached, point
    system.recover(calendar)
    _judge(system, points, file.outcome)


def test_a_worker_that_stalls_anywhere_and_wakes_up_too_late(system: System, calendar: Calendar, file: File) -> None:
    """Its lease ends, another finishes its scan, the sweeper cleans up, and then it goes on where it stood: its own
    clock says that all is well, as if it had been stopped between its last look and its next effect."""
    points = {}
    other = system.with_settings(home=system.settings.home)
    other.parts.scanners.check()
    for point in _outside_transactions(effects.recorded(system.objects, _scanned(system, file))):
        scan_id = _upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(other.recover, calendar)) as reached:
            system.work(scan_id)
        assert reached, point
    other.parts.close()
    system.recover(calendar)
    _judge(system, points, file.outcome)


def test_an_object_that_is_swapped_anywhere(system: System, calendar: Calendar) -> None:
    file, evil = FILES["document"], PDF.replace(b"1 0 obj", b"6 6 obj")
    points, outcomes = {}, set()
    for point in effects.recorded(system.objects, _scanned(system, file)):
        scan_id = _upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(_swap, system, scan_id, evil)) as reached:
            ended = system.work(scan_id)
        assert reached, point
        outcomes.add(ended.status)
        if ended.status is Status.CLEAN:
            assert system.read(ended) == file.data, point
        else:
            assert [reason.code for reason in ended.reasons] == [ReasonCode.CONTENT_CHANGED], point
    assert outcomes == {Status.CLEAN, Status.REJECTED}, "swapped after the fetch, and before"
    system.recover(calendar)
    _judge(system, points, Status.CLEAN, Status.REJECTED)


def test_a_file_of_the_same_size_and_md5_is_another_file(system: System) -> None:
    """The store calls both by one ETag."""
    scan = system.upload(COLLISION)
    assert scan.quarantine_key is not None
    etag = system.objects.put(system.settings.quarantine_bucket, scan.quarantine_key, COLLIDING)
    assert etag == scan.etag
    ended = system.work(scan.id)
    assert [reason.code for reason in ended.reasons] == [ReasonCode.CONTENT_CHANGED]
    assert system.quarantined() == system.promoted() == []


@pytest.mark.parametrize("name", ["document", "in parts"])
def test_an_upload_that_is_killed_anywhere(system: System, calendar: Calendar, name: str) -> None:
    for point in effects.recorded(system.objects, partial(_upload, system, FILES[name])):
        assert _killed(system, point, partial(_upload, file=FILES[name])), point
    system.recover(calendar)
    _judge(system, {}, Status.CLEAN, Status.EXPIRED)


@pytest.mark.parametrize("name", ["document", "in parts"])
def test_a_fault_anywhere_in_an_upload(system: System, calendar: Calendar, name: str) -> None:
    points = {}
    for point in effects.recorded(system.objects, partial(_upload, system, FILES[name])):
        with effects.at(system.objects, point, _fail) as reached, suppress(Injected):
            _upload(system, FILES[name])
        assert reached, point
        points[system.newest().id] = point
    system.recover(calendar)
    _judge(system, points, Status.CLEAN, Status.EXPIRED)


def test_a_sweeper_that_is_killed_anywhere(system: System, calendar: Calendar) -> None:
    """There is something to do in each of its steps."""
    _misery(system, calendar)
    for point in effects.recorded(system.objects, system.sweep):
        _misery(system, calendar)
        assert _killed(system, point, System.sweep), point
    system.recover(calendar)
    _judge(system, {}, Status.CLEAN, Status.EXPIRED)


def _misery(system: System, calendar: Calendar) -> None:
    """A lost worker, an upload without a client, one that ended and left its bytes, and a scan that nobody enqueued."""
    lost, _unqueued = _upload(system, FILES["document"]), _upload(system, FILES["document"])
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


def test_an_upload_that_is_erased_meanwhile_and_then_killed_anywhere(system: System, calendar: Calendar) -> None:
    """The sweeper has looked by then, one lease after the erasure: an upload's own lease is longer."""
    points = effects.recorded(system.objects, partial(_upload_erased_meanwhile, system, calendar))
    for point in points:
        assert _killed(system, point, partial(_upload_erased_meanwhile, calendar=calendar)), point
    system.recover(calendar)
    _judge(system, {}, Status.EXPIRED, Status.ERASED)


def _upload_erased_meanwhile(system: System, calendar: Calendar) -> None:
    def erase() -> None:
        _erase(system.newest().id, system)
        calendar.pass_time(system.settings.lease_seconds + 1)
        list(BucketSweeper(system.database, system.objects, system.settings).tidy())  # no more: each run is the same

    async def body() -> AsyncIterator[bytes]:
        yield PDF
        await asyncio.to_thread(erase)
        yield PDF

    with suppress(UploadOvertaken):
        asyncio.run(system.intake().receive(incoming(), body(), dict))


@pytest.mark.parametrize("worked", [False, True], ids=["waiting", "promoted"])
def test_an_erasure_that_is_killed_anywhere(system: System, calendar: Calendar, worked: bool) -> None:
    def prepared() -> str:
        scan_id = _upload(system, FILES["document"])
        if worked:
            system.work(scan_id)
        return scan_id

    points = {}
    for point in effects.recorded(system.objects, partial(_erase, prepared(), system)):
        scan_id = prepared()
        points[scan_id] = point
        assert _killed(system, point, partial(_erase, scan_id)), point
    system.recover(calendar)
    _judge(system, points, Status.CLEAN, Status.ERASED)
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
        assert _killed(system, point, partial(System.work, scan_id=scan_id)), point
    system.recover(calendar)
    _judge(system, points, Status.RELEASED)
    assert all(system.read(system.scan(scan_id)) == SECRET for scan_id in points)


def test_an_object_that_is_swapped_anywhere_in_its_release(system: System, calendar: Calendar) -> None:
    points = {}
    for point in effects.recorded(system.objects, partial(system.work, _released(system))):
        scan_id = _released(system)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(_swap, system, scan_id, PDF)):
            ended = system.work(scan_id)
        assert ended.status is Status.REJECTED or system.read(ended) == SECRET, point
    system.recover(calendar)
    _judge(system, points, Status.RELEASED, Status.REJECTED)


def _tried_again(scan_id: str, system: System) -> None:
    system.operations().retry(system.scan(scan_id), Order("test", Mover.OPERATOR))


@pytest.mark.parametrize("order", [_tried_again, _erase], ids=["retry", "erasure"])
def test_an_order_that_is_killed_anywhere(
    system: System, calendar: Calendar, order: Callable[[str, System], None]
) -> None:
    """About a file that is held."""
    points = {}
    for point in effects.recorded(system.objects, partial(order, system.outcome(SECRET, "a.zip").id, system)):
        scan_id = system.outcome(SECRET, "a.zip").id
        points[scan_id] = point
        assert _killed(system, point, partial(order, scan_id)), point
    system.recover(calendar)
    _judge(system, points, Status.UNSCANNABLE, Status.ERASED)


def test_an_erasure_anywhere_in_a_scan(system: System, calendar: Calendar, file: File) -> None:
    points = {}
    for point in _outside_transactions(effects.recorded(system.objects, _scanned(system, file))):
        scan_id = _upload(system, file)
        points[scan_id] = point
        with effects.at(system.objects, point, partial(_erase, scan_id, system)) as reached:
            system.work(scan_id)
        assert reached, point
    system.recover(calendar)
    assert {system.scan(scan_id).status for scan_id in points} == {Status.ERASED}
    _judge(system, points, file.outcome, Status.ERASED)


def test_a_storm_of_redeliveries(system: System, calendar: Calendar) -> None:
    """Each task is delivered five times, in parallel, by processes that share nothing."""
    outcomes = {_upload(system, file): frozenset({file.outcome}) for file in FILES.values()}
    workers = []
    for _ in range(5):
        if (pid := os.fork()) == 0:
            try:
                own = system.in_a_fork()
                for scan_id in outcomes:
                    own.parts.pipeline.run(scan_id)
            finally:
                os._exit(0)
        workers.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in workers)
    system.recover(calendar)
    assert audit(system.database, system.objects, system.settings, outcomes) == []
    assert {system.scan(scan_id).attempts for scan_id in outcomes} == {1}


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
        assert _killed(system, point, partial(_backfill, source=source)), point
        _backfill(system, source)
    system.recover(calendar)
    _judge(system, {}, Status.CLEAN)
    assert len(system.all()) == 2 * (1 + len(points))


def _backfill(system: System, source: Place) -> None:
    for _ in system.backfill(source).run("operator:test"):
        pass


def _ask(system: System, scan_id: str) -> None:
    asked = Rescans(system.database, system.queue)
    asked.ask(system.scan(scan_id), Order("operator:test", Mover.OPERATOR))


def _rescan(system: System, scan_id: str) -> None:
    system.parts.rescan(scan_id)


@contextmanager
def _recalls(system: System, clamd: Clamd, every: int) -> Iterator[dict[str, Point]]:
    """A clean file for every so many points that a rescan passes which finds malware: inside the block it is known."""
    first = system.work(_upload(system, LATER)).id
    _ask(system, first)
    with known_malware(clamd):
        points = effects.recorded(system.objects, partial(system.parts.rescan, first))
    found = {system.work(_upload(system, LATER)).id: point for point in points[::every]}
    with known_malware(clamd):
        yield found


def test_a_recall_that_is_killed_anywhere(system: System, calendar: Calendar, clamd: Clamd) -> None:
    with _recalls(system, clamd, 1) as points:
        for scan_id, point in points.items():
            _ask(system, scan_id)
            assert _killed(system, point, partial(_rescan, scan_id=scan_id)), point
        system.recover(calendar)
    _judge_recalled(system, points, Status.INFECTED)


Action = Callable[[str, System, System, Calendar], None]
ACTIONS: dict[str, Action] = {
    "a fault": lambda _scan_id, _system, _other, _calendar: _fail(),
    "an erasure": lambda scan_id, system, _other, _calendar: _erase(scan_id, system),
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
    _judge(system, points, *outcomes)
    assert system.rescans() == []
    moved = [scan_id for scan_id, point in points.items() if point.name != "before commit"]
    assert moved
    assert {system.scan(scan_id).decision for scan_id in moved} <= {2, 3}
