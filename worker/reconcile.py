"""Use case: compare both buckets with the database, both ways, and report. Memory does not grow with either.

Each prefix is a merge-join of two sorted streams. The system is live meanwhile: whatever looks wrong is looked at
again before it is reported, and what somebody may still be working on is left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from itertools import groupby

from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Listed, Place
from worker.errors import Permanent
from worker.keys import INCOMING, SEALED, is_promised, scan_id_in
from worker.scan import HELD, PROMOTED, Scan, Status
from worker.settings import Settings
from worker.store import inventory, scans
from worker.store.database import Database

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NEEDS_BYTES = HELD | {Status.QUEUED, Status.SCANNING}
_LEASES = 4  # for so long after its last change nobody is judged


class Finding(StrEnum):
    """What can be wrong with one object or one record."""

    ORPHANED = "orphaned"  # an object that no record knows
    LEFTOVER = "leftover"  # an object whose record says that its bytes are gone
    SUPERSEDED = "superseded"  # an object in clean that its record does not name
    UNCLAIMED = "unclaimed"  # an object that a service sent and never had scanned
    MISSING = "missing"  # a record whose bytes are not where it says
    ALTERED = "altered"  # a promoted object of another size than recorded


DELETABLE = frozenset({Finding.ORPHANED, Finding.LEFTOVER, Finding.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Found:
    """One finding."""

    finding: Finding
    place: Place
    scan_id: str | None  # of the record, or as the key has it


Judge = Callable[[Scan | None, list[Listed], str | None], Iterator[Found]]


@dataclass(slots=True)
class Summary:
    """What was compared so far, and found."""

    objects: int = 0
    records: int = 0  # of all services
    findings: Counter[Finding] = field(default_factory=Counter)

    @property
    def deletable(self) -> int:
        """How many objects could be deleted."""
        return sum(self.findings[each] for each in DELETABLE)


class Reconciler:
    """One comparison at a time."""

    def __init__(self, database: Database, objects: ObjectStore, settings: Settings, page_size: int = 1000) -> None:
        """`page_size`: rows or keys that are held in memory."""
        self._database, self._objects, self._page_size = database, objects, page_size
        self._quarantine, self._clean = settings.quarantine_bucket, settings.clean_bucket
        self._recent = timedelta(seconds=settings.lease_seconds * _LEASES)
        self._claim_within = timedelta(seconds=settings.receive_timeout)
        self.summary = Summary()

    def findings(self) -> Iterator[Found]:
        """Everything that is wrong, as it is found. Raises what store and database raise, and `Permanent` for a store
        that does not list its keys in order."""
        self.summary = Summary()
        for suspect in self._suspects():
            if self._confirmed(suspect):
                self.summary.findings[suspect.finding] += 1
                yield suspect

    def deletions(self) -> Iterator[Found]:
        """Walk again and delete what is deletable, each looked at once more just before."""
        for found in self.findings():
            if found.finding in DELETABLE:
                self._objects.delete(*found.place)
                yield found

    def check_plausible(self, *, most: bool) -> None:
        """Return if what was found may be deleted. Raises `Permanent`: a wrong address must not empty a bucket.

        `most`: may it be more than half of all objects?
        """
        if self.summary.records == 0 and self.summary.objects:
            raise Permanent(
                f"the database holds no scan and the buckets hold {self.summary.objects} objects; nothing is deleted",
                expected="LAZARETTO_DATABASE_URL of the installation that these buckets belong to",
            )
        if self.summary.deletable * 2 > self.summary.objects and not most:
            raise Permanent(
                f"{self.summary.deletable} of {self.summary.objects} objects would be deleted; nothing is",
                expected="the right LAZARETTO_DATABASE_URL, or --most if that is meant",
            )

    def _suspects(self) -> Iterator[Found]:
        yield from self._sealed()
        yield from self._unclaimed()
        yield from self._strangers(self._quarantine, {SEALED, INCOMING})
        prefixes = inventory.clean_prefixes(self._database)
        for prefix in prefixes:
            yield from self._promoted(prefix, {each for each in prefixes if each.startswith(prefix)} - {prefix})
        yield from self._strangers(self._clean, set(prefixes))

    def _sealed(self) -> Iterator[Found]:
        rows = inventory.walk(self._database, inventory.in_quarantine(), self._page_size)
        for scan_id, listed, scan in self._joined(self._quarantine, SEALED, rows):
            yield from self._judge_sealed(scan or self._scan(scan_id), listed, scan_id)

    def _judge_sealed(self, scan: Scan | None, listed: list[Listed], scan_id: str | None) -> Iterator[Found]:
        for each in listed:
            if scan is None or scan.quarantine_key is None:
                finding = Finding.LEFTOVER if scan else Finding.ORPHANED
                yield Found(finding, Place(self._quarantine, each.key), scan_id)
        if scan and scan.quarantine_key and not listed and _must_be_sealed(scan):
            yield Found(Finding.MISSING, Place(self._quarantine, scan.quarantine_key), scan_id)

    def _promoted(self, prefix: str, deeper: set[str]) -> Iterator[Found]:
        """`deeper`: prefixes that begin with this one; what lies under them has its own turn."""
        rows = inventory.walk(self._database, inventory.under(prefix), self._page_size)
        for scan_id, listed, scan in self._joined(self._clean, prefix, rows):
            self.summary.records += scan is not None
            if scan is None:
                own = [each for each in listed if not each.key.startswith(tuple(deeper))]
                yield from self._judge_strangers(self._clean, own)
            else:
                yield from self._judge_promoted(scan, listed, scan_id)

    def _judge_promoted(self, scan: Scan | None, listed: list[Listed], scan_id: str | None) -> Iterator[Found]:
        """Of a scan whose settling was left, the promoted object may be the only copy: nobody judges it."""
        if scan and not scan.status.ended:
            return
        own = scan.promoted if scan and scan.status in PROMOTED else None
        for each in listed:
            place = Place(self._clean, each.key)
            if own is None or own.key != each.key:
                yield Found(Finding.SUPERSEDED if scan else Finding.ORPHANED, place, scan_id)
            elif own.size != each.size:
                yield Found(Finding.ALTERED, place, scan_id)
        if own and own.key not in [each.key for each in listed]:
            yield Found(Finding.MISSING, Place(own.bucket, own.key), scan_id)

    def _unclaimed(self) -> Iterator[Found]:
        limit = clock.now() - self._claim_within
        for each in self._listed(self._quarantine, INCOMING):
            if each.modified < limit:
                yield from self._judge_incoming(each)

    def _judge_incoming(self, listed: Listed) -> Iterator[Found]:
        """A promised place is its scan's alone; under any other key the service may have written the next file."""
        with self._database.read() as connection:
            owners = scans.from_source(connection, listed.key)
        if any(not scan.status.ended or (scan.status in HELD and not scan.sealed) for scan in owners):
            return
        place, promised = Place(self._quarantine, listed.key), next(filter(is_promised, owners), None)
        finding = Finding.LEFTOVER if promised else Finding.UNCLAIMED
        yield Found(finding, place, promised.id if promised else None)

    def _strangers(self, bucket: str, known: set[str]) -> Iterator[Found]:
        """What lies under prefixes that were nobody's when the walk began, and under none."""
        for name in self._objects.top_level(bucket):
            if name not in known:
                strangers = (each for each in self._listed(bucket, name) if not each.key.startswith(tuple(known)))
                yield from self._judge_strangers(bucket, strangers)

    def _judge_strangers(self, bucket: str, listed: Iterable[Listed]) -> Iterator[Found]:
        """By the record of the id that their key holds, which may be younger than the walk."""
        for each in listed:
            scan_id = scan_id_in(each.key) if bucket == self._clean else ""
            yield from self._judge(bucket)(self._scan(scan_id), [each], scan_id or None)

    def _joined(
        self, bucket: str, prefix: str, rows: Iterator[Scan]
    ) -> Iterator[tuple[str, list[Listed], Scan | None]]:
        """For every id on either side its objects and its record, by ascending id. Names that are no ids come between.

        Raises `Permanent` where the store does not list in order: then nothing could be said.
        """
        row, last = next(rows, None), ""
        for scan_id, group in groupby(self._listed(bucket, prefix), partial(_id_in, prefix)):
            if not _UUID.fullmatch(scan_id):
                yield scan_id, list(group), None
                continue
            if scan_id <= last:
                raise Permanent(f"s3://{bucket} lists {scan_id} after {last}", expected="keys in ascending order")
            last = scan_id
            while row and row.id < scan_id:
                yield row.id, [], row
                row = next(rows, None)
            if row and row.id == scan_id:
                yield scan_id, list(group), row
                row = next(rows, None)
            else:
                yield scan_id, list(group), None
        yield from self._rest(row, rows)

    @staticmethod
    def _rest(row: Scan | None, rows: Iterator[Scan]) -> Iterator[tuple[str, list[Listed], Scan | None]]:
        while row:
            yield row.id, [], row
            row = next(rows, None)

    def _listed(self, bucket: str, prefix: str) -> Iterator[Listed]:
        for each in self._objects.listing(bucket, prefix, self._page_size):
            self.summary.objects += 1
            yield each

    def _confirmed(self, suspect: Found) -> bool:
        """Is it still so, and is nobody at work there?"""
        scan = self._scan(suspect.scan_id or "")
        now = self._present(suspect.place)
        limit = clock.now() - self._recent
        if any(each.modified > limit for each in now) or (scan and (scan.updated_at > limit or scan.tidy_at)):
            return False
        if suspect.place.key.startswith(INCOMING) and suspect.place.bucket == self._quarantine:
            return suspect in [found for each in now for found in self._judge_incoming(each)]
        return suspect in self._judge(suspect.place.bucket)(scan, now, suspect.scan_id)

    def _judge(self, bucket: str) -> Judge:
        return self._judge_sealed if bucket == self._quarantine else self._judge_promoted

    def _present(self, place: Place) -> list[Listed]:
        info = self._objects.head(*place)
        return [Listed(place.key, info.size, info.modified)] if info else []

    def _scan(self, scan_id: str) -> Scan | None:
        with self._database.read() as connection:
            return scans.get(connection, scan_id)


def _must_be_sealed(scan: Scan) -> bool:
    """Until a worker has sealed it, a direct upload is still where the service put it."""
    return scan.status in _NEEDS_BYTES and (scan.sealed or scan.source_key is None)


def _id_in(prefix: str, listed: Listed) -> str:
    return listed.key[len(prefix) :].partition("/")[0]
