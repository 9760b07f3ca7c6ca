"""Something happens between any two effects; then time passes, and the same must hold as ever.

The judge is `tests.audit`: one terminal status and event for each decision, objects exactly where the status says,
nothing clean that should not be, nothing left behind.
"""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from PIL import Image

from ops.samples.unwelcome import executable
from tests import effects
from tests.audit import audit
from tests.effects import Point
from tests.later import MALWARE
from tests.system import System
from worker.canaries import eicar, encrypted_zip
from worker.keys import sealed_key
from worker.operations import Order
from worker.scan import Mover, Status

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
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


def upload(system: System, file: File) -> str:
    if file.old:
        return system.upload_long_ago(file.data, file.name).id
    take_in = system.upload_direct if file.direct else system.upload
    return take_in(file.data, file.name).id


def scanned(system: System, file: File) -> Callable[[], object]:
    """The work of one task, on a new scan."""
    return partial(system.work, upload(system, file))


def erase(scan_id: str, system: System) -> None:
    system.operations().erase(system.scan(scan_id), Order("test", Mover.SERVICE))


def judge(system: System, points: Mapping[str, Point], *outcomes: Status) -> None:
    """Nothing may be wrong with the whole system. `points`: what happened to which scan, and where; `outcomes`: all
    that scans may have come to."""
    wrong = audit(system.database, system.objects, system.settings, {})
    wrong += [f"{scan.id} is {scan.status}" for scan in system.all() if scan.status not in outcomes]
    blamed = {scan_id: str(point) for scan_id, point in points.items() if any(scan_id in each for each in wrong)}
    assert (wrong, blamed) == ([], {})


def fail() -> None:
    raise Injected


def outside_transactions(points: list[Point]) -> list[Point]:
    """Where somebody else can write to the database meanwhile."""
    return [point for point in points if point.name != "before commit"]


def swap(system: System, scan_id: str, data: bytes) -> None:
    """Only while something is there: nobody but us writes to sealed keys, so an intruder's object would stay."""
    bucket, key = system.settings.quarantine_bucket, sealed_key(scan_id)
    if system.objects.head(bucket, key):
        system.objects.put(bucket, key, data)


def killed(system: System, point: Point, work: Callable[[System], object]) -> bool:
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
