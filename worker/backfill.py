"""Use case: what lay in a bucket before there was us, put on record and scanned behind everything that comes in.

The originals are read and never touched: the worker seals a copy, and goes on as with any upload. Repeated, it goes
on: what is on record by its bucket, key and ETag is passed over. Memory does not grow with the bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy.exc import IntegrityError

from worker import clock, telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Listed, Place
from worker.adapters.task_queue import TaskQueue
from worker.errors import LazarettoError, NoSuchService
from worker.handover import hand_over_all, room
from worker.intake import recordable
from worker.keys import default_prefix, sealed_key
from worker.lanes import Lane
from worker.policies import Policies
from worker.scan import Cause, Mover, Scan, Status
from worker.settings import Settings
from worker.store import services, sources
from worker.store.database import Database
from worker.telemetry import Log

_TOGETHER = 200  # scans of one transaction: whoever uploads waits for its end, on SQLite


class OwnBucket(LazarettoError):
    """This bucket is one of our own: what is in it was scanned, or is about to be."""

    code = "own_bucket"
    expected = "a bucket that files came into without us"


@dataclass(slots=True)
class Passed:
    """What was passed so far."""

    objects: int = 0
    new: int = 0  # to be put on record
    recorded: int = 0  # of those, so far
    size: int = 0  # bytes of the new ones
    known: int = 0  # on record already
    folders: int = 0  # empty objects that stand for a folder, as some tools make them
    unrecordable: int = 0  # whose key no database holds


class Backfill:
    """One service's, of one bucket and prefix."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        queue: TaskQueue,
        policies: Policies,
        settings: Settings,
        *,
        source: Place,
        service: str,
    ) -> None:
        """`source`: the bucket, and what its keys begin with. `service`: whose files they are from now on.

        Raises `NoSuchService`, `OwnBucket`, and `StoreUnavailable` where the bucket is not there for us.
        """
        self._database, self._objects, self._queue = database, objects, queue
        self._settings, self._source, self._service = settings, source, service
        self._clean_prefix = policies.of(service).prefix or default_prefix(service)
        if source.bucket in (settings.quarantine_bucket, settings.clean_bucket):
            raise OwnBucket
        with database.read() as connection:
            if not services.exists(connection, service):
                raise NoSuchService(f"there is no service {service!r}")
        objects.check(source.bucket)
        self.passed = Passed()

    def count(self) -> Iterator[Passed]:
        """What `run` would do; how far it is, after each step."""
        for _new in self._steps():
            yield self.passed

    def run(self, actor: str) -> Iterator[Passed]:
        """Put on record what is not yet; how far it is, after each step. Can be broken off there, and anywhere else.

        `actor`: who asked, as events name them.
        """
        cause = Cause(Mover.OPERATOR, f"backfilled from {self._source}", actor)
        for new in self._steps():
            self._take(new, cause)
            yield self.passed
        telemetry.say(
            Log.BACKFILLED, source=str(self._source), service=self._service, actor=actor, scans=self.passed.recorded
        )

    def _steps(self) -> Iterator[list[Listed]]:
        """What is new, some at a time, and counted by then."""
        self.passed = passed = Passed()
        listing = self._objects.listing(*self._source)
        while some := list(islice(listing, _TOGETHER)):
            passed.objects += len(some)
            files = [each for each in some if not _is_folder(each)]
            holdable = [each for each in files if _is_holdable(each.key)]
            new = self._unknown(holdable)
            passed.folders += len(some) - len(files)
            passed.unrecordable += len(files) - len(holdable)
            passed.known += len(holdable) - len(new)
            passed.new += len(new)
            passed.size += sum(each.size for each in new)
            yield new

    def _unknown(self, some: list[Listed]) -> list[Listed]:
        with self._database.read() as connection:
            known = sources.known(connection, self._source.bucket, (each.key for each in some))
        return [each for each in some if (each.key, each.etag) not in known]

    def _take(self, new: list[Listed], cause: Cause) -> None:
        """On record, then into the line that delays no upload, as far as it has room."""
        enqueued_at = clock.now() if len(new) <= room(self._queue) else None
        while new:
            added = list(self._scans(new, enqueued_at))
            try:
                with self._database.write() as connection:
                    sources.add_all(connection, added, cause)
                self.passed.recorded += len(added)
            except IntegrityError:
                new = self._unknown(new)  # somebody else is at the same work
                continue
            if enqueued_at:
                hand_over_all(self._database, self._queue, added)
            return

    def _scans(self, some: Iterable[Listed], enqueued_at: datetime | None) -> Iterator[Scan]:
        for each in some:
            scan_id = clock.new_id()
            moment = clock.moment_of(scan_id)
            yield Scan(
                id=scan_id,
                service=self._service,
                status=Status.QUEUED,
                filename=recordable(_name(each.key), self._settings.max_filename_characters),
                declared_type=None,
                created_at=moment,
                updated_at=moment,
                lane=Lane.BULK,
                source_bucket=self._source.bucket,
                source_key=each.key,
                source_etag=each.etag,
                quarantine_key=sealed_key(scan_id),
                clean_prefix=self._clean_prefix,
                metadata={"backfill": str(Place(self._source.bucket, each.key))},
                queued_at=moment,
                enqueued_at=enqueued_at,
            )


def _is_folder(listed: Listed) -> bool:
    return listed.size == 0 and listed.key.endswith("/")


def _is_holdable(key: str) -> bool:
    """PostgreSQL holds every text but one with NUL in it, or half of a surrogate pair."""
    return "\0" not in key and key == key.encode("utf-8", "replace").decode()


def _name(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]
