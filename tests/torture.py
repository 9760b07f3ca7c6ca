"""Many files through a site in which everything dies, sleeps and forgets; then the judge."""

from __future__ import annotations

import io
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import httpx
from PIL import Image

from ops.samples.unwelcome import executable
from tests import processes
from tests.audit import audit
from tests.chaos import Chaos
from tests.site import KEY, Site, takes_uploads
from tests.stack import until
from worker.canaries import eicar, encrypted_zip
from worker.errors import DatabaseUnavailable
from worker.scan import PENDING, Status
from worker.store import events

CLIENTS = 6
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
REST_SECONDS = 240  # for everything to come to rest once nothing goes wrong any more
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
LARGE = 9 * 2**20  # bytes: more than one part of an upload
# Times in seconds: everything that a lease is made of, short enough to end often in one run.
SETTINGS = {
    "LAZARETTO_LEASE_SECONDS": "9",
    "LAZARETTO_S3_TIMEOUT": "1.9",
    "LAZARETTO_CONNECT_TIMEOUT": "0.5",
    "LAZARETTO_UPLOAD_IDLE_TIMEOUT": "4",
    "LAZARETTO_SCAN_TIMEOUT": "40",
    "LAZARETTO_RETRY_BASE": "0.5",
    "LAZARETTO_RETRY_CAP": "5",
    "LAZARETTO_ENQUEUE_GRACE": "5",
    "LAZARETTO_MAX_ATTEMPTS": "60",  # nobody's file is to blame here, and many a worker dies
    "LAZARETTO_MEMORY_LIMIT": "65536",  # most files go through scratch on disk
}


def _photo(number: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (120, 80), (number % 256, number // 256 % 256, 99)).save(out, "JPEG", comment=str(number).encode())
    return out.getvalue()


@dataclass(frozen=True)
class Kind:
    """A kind of file; `make` gives another one for each number."""

    name: str
    make: Callable[[int], bytes]
    outcome: Status


def _numbered(data: bytes) -> Callable[[int], bytes]:
    return lambda number: data + f"\n% {number}\n".encode()


KINDS = [
    Kind("report.pdf", _numbered(PDF), Status.CLEAN),
    Kind("photo.jpg", _photo, Status.CLEAN),
    Kind("notes.txt", _numbered(b"Nothing to see here. " * 5000), Status.CLEAN),
    Kind("invoice.com", lambda _number: eicar(), Status.INFECTED),
    Kind("picture.jpg", _numbered(executable()), Status.REJECTED),
    Kind("secret.zip", lambda _number: encrypted_zip(), Status.UNSCANNABLE),
]
LARGE_KIND = Kind("large.pdf", _numbered(PDF.ljust(LARGE)), Status.CLEAN)
LARGE_EVERY = 25  # uploads


@dataclass
class Uploads:
    """What clients do: upload, and once more when they are not answered with 202."""

    url: str
    wanted: int
    accepted: dict[str, frozenset[Status]] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    _numbers: count[int] = field(default_factory=count)

    def client(self) -> None:
        """Upload until there are as many as wanted, and chaos is over."""
        while not (self.stop.is_set() and len(self.accepted) >= self.wanted):
            number = next(self._numbers)
            kind = LARGE_KIND if number % LARGE_EVERY == 0 else KINDS[number % len(KINDS)]
            self._upload(kind, kind.make(number))

    def _upload(self, kind: Kind, data: bytes) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        try:
            answer = httpx.put(f"{self.url}/v1/uploads/{kind.name}", content=data, headers=headers, timeout=30)
        except httpx.TransportError as fault:
            self.unanswered[type(fault).__name__] += 1
            time.sleep(0.2)
            return
        if answer.status_code == httpx.codes.ACCEPTED:
            self.accepted[answer.json()["id"]] = frozenset({kind.outcome})
            return
        self.unanswered[str(answer.status_code)] += 1
        time.sleep(0.2)


def torture(site: Site, *, files: int, blows: int, pause: float, seed: int) -> list[str]:
    """Drive at least `files` files through at least `blows` kills and outages, `pause` seconds apart on average.

    Returns the figures, line by line. Raises `AssertionError` where anything is lost, decided twice, wrongly promoted
    or left behind.
    """
    begun = time.monotonic()
    uploads, chaos = Uploads(site.url, files), Chaos(site, seed, pause)
    clients = [threading.Thread(target=uploads.client, daemon=True) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    chaos.start()
    while chaos.total < blows or len(uploads.accepted) < files:
        assert chaos.raging
        time.sleep(0.5)
    chaos.stop()
    uploads.stop.set()
    for thread in clients:
        thread.join()
    raged = time.monotonic() - begun
    until(lambda: _at_rest(site), REST_SECONDS, "everything at rest")
    rested = time.monotonic() - begun - raged
    wrong = audit(site.database, site.objects, site.settings, uploads.accepted) + _left_in_scratch(site)
    assert not wrong, "\n".join([*wrong, *_stories(site, wrong)])
    return _figures(site, uploads, chaos, raged, rested)


def _at_rest(site: Site) -> bool:
    try:
        return not site.ids(PENDING) and not site.untidy() and takes_uploads(site.url)
    except DatabaseUnavailable:
        return False  # it was killed last, and is not back yet


def _left_in_scratch(site: Site) -> list[str]:
    folder = site.settings.scratch_dir
    assert folder is not None
    named = [f"left behind: {path}" for path in folder.iterdir()]
    return named + [f"left behind: {path}, nameless" for path in processes.open_files(folder)]


def _stories(site: Site, wrong: list[str]) -> list[str]:
    """What is on record about the scans that something is wrong with."""
    named = {match[0] for line in wrong for match in re.finditer(_UUID, line)}
    with site.database.read() as connection:
        told = [event for scan_id in sorted(named) for event in events.of(connection, scan_id)]
    return [f"    {event.at:%H:%M:%S.%f} {event.target} {event.reason} ({event.actor})" for event in told]


def _figures(site: Site, uploads: Uploads, chaos: Chaos, raged: float, rested: float) -> list[str]:
    return [
        f"{len(uploads.accepted)} files answered with 202; not answered so: {dict(uploads.unanswered)}",
        *(f"{number:6} {name}" for name, number in sorted(chaos.counts.items())),
        f"{chaos.total:6} in all, in {raged:.0f} s; at rest {rested:.0f} s later",
        "0 lost, 0 decided twice, 0 wrongly promoted, 0 left behind",
    ]
