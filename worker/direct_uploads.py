"""Use case: files that reach quarantine without passing through us. A place is promised and a form given out, or the
service writes with credentials of its own; then it tells us what to scan.

Whatever lies there can be replaced at any time, by whoever holds the form or the credentials: the worker seals it
before it looks (`worker.seal`). Here only its ETag goes on record.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from worker import clock, metrics, telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Form, ObjectInfo, Place
from worker.adapters.task_queue import TaskQueue
from worker.body import check_size
from worker.errors import LazarettoError
from worker.handover import hand_over
from worker.idempotency import UNRESERVED, Reservation
from worker.instruments import Way
from worker.intake import LONGEST_TYPE, recordable
from worker.keys import default_prefix, is_incoming_of, is_promised, promised_key, sealed_key
from worker.lanes import Lane, lane_of
from worker.policies import Policies
from worker.quotas import Quotas
from worker.scan import Cause, Mover, Scan, Status
from worker.settings import Settings
from worker.store import scans
from worker.store.database import Database
from worker.telemetry import Log

_LARGEST_FORM = 5 * 2**30  # bytes of one POST (https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html)


class NothingThere(LazarettoError):
    """There is no such object of this service."""

    code = "object_not_found"
    expected = "the key of an object under `incoming/`, the service's name and `/`"


class NotUploadedYet(LazarettoError):
    """The promised upload is not there yet."""

    code = "not_uploaded_yet"
    retryable = True
    expected = "the file, sent by the form that was given out"


@dataclass(frozen=True, slots=True)
class Announced:
    """What a service says of a file that does not pass through us."""

    service: str
    actor: str
    request_id: str
    filename: str
    declared_type: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    reservation: Reservation = UNRESERVED  # of the request's Idempotency-Key

    @property
    def fields(self) -> dict[str, Any]:
        """Everything that the client said of the file: what makes two requests the same."""
        return {"filename": self.filename, "declared_type": self.declared_type, "metadata": self.metadata}


@dataclass(frozen=True, slots=True)
class Promise:
    """A place for one file, and the form by which it gets there."""

    scan: Scan
    key: str
    form: Form
    expires_at: datetime


class DirectUploads:
    """One per API process. Safe to use from several threads."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        queue: TaskQueue,
        policies: Policies,
        quotas: Quotas,
        settings: Settings,
    ) -> None:
        self._database, self._objects, self._queue = database, objects, queue
        self._policies, self._quotas, self._settings = policies, quotas, settings
        self._form_life = timedelta(seconds=settings.presigned_seconds)
        self._lease = timedelta(seconds=settings.receive_lease)

    def promise(self, announced: Announced, size: int) -> Promise:
        """Put a scan on record whose file of `size` bytes is to come; `receiving` until it is enqueued.

        The same request with the same Idempotency-Key has the same place, by a form that expires with the first one.

        Raises `FileTooLarge`, `QuotaExceeded`, `NeverWithinQuota` and `KeyReused`. The sweeper ends what never comes.
        """
        fields = announced.fields | {"size": size}
        scan = announced.reservation.replay(fields) or self._promise(announced, size, fields)
        expires_at = scan.created_at + self._form_life
        left = max(1, math.ceil((expires_at - clock.now()).total_seconds()))
        key = promised_key(announced.service, scan.id)
        place = Place(self._settings.quarantine_bucket, key)
        kind = announced.declared_type or "application/octet-stream"
        return Promise(
            scan, key, self._objects.upload_form(place, content_type=kind, size=size, seconds=left), expires_at
        )

    def _promise(self, announced: Announced, size: int, fields: dict[str, Any]) -> Scan:
        policy = self._policies.of(announced.service)
        check_size(size, min(policy.max_size, _LARGEST_FORM))
        self._quotas.take_bytes(announced.service, policy.limits, size)
        scan_id = clock.new_id()
        expires_at = clock.moment_of(scan_id) + self._form_life
        key = promised_key(announced.service, scan_id)
        until = expires_at + self._lease
        values = {"source_key": key, "promised_size": size, "lease_until": until, "tidy_at": until}
        scan = self._new(announced, scan_id, Status.RECEIVING, **values)
        with self._database.write() as connection:
            scans.add(connection, scan, Cause(Mover.SERVICE, "upload promised", announced.actor))
            announced.reservation.bind(connection, scan_id, fields)
        return scan

    def enqueue(self, key: str, announced: Announced) -> Scan:
        """Have an object scanned that the service has put under its own prefix; returns its scan.

        A promised key leads to its promised scan, with everything that was said when it was promised. The same key
        with the same ETag is the same scan, however often it is enqueued.
        Raises `NothingThere`, also for what is another service's, `NotUploadedYet`, `QuotaExceeded` and `KeyReused`.
        """
        fields = announced.fields | {"key": key}
        if replayed := announced.reservation.replay(fields):
            return replayed
        scan = self._enqueued(key, announced)
        with self._database.write() as connection:  # the same object is the same scan: nothing is lost in between
            announced.reservation.bind(connection, scan.id, fields)
        return scan

    def _enqueued(self, key: str, announced: Announced) -> Scan:
        if not is_incoming_of(announced.service, key):
            raise NothingThere
        promised = self._promised(announced.service, key)
        if promised and promised.status is not Status.RECEIVING:
            with self._database.write() as connection:
                return _told_again(connection, promised)
        found = self._objects.head(self._settings.quarantine_bucket, key)
        if found is None:
            self._objects.check(self._settings.quarantine_bucket)  # some stores say so where there is no bucket
            raise NotUploadedYet if promised else NothingThere
        return self._arrived(promised, found, announced) if promised else self._sent(key, found, announced)

    def _promised(self, service: str, key: str) -> Scan | None:
        with self._database.read() as connection:
            scan = scans.get(connection, key.rpartition("/")[2])
        return scan if scan and scan.service == service and scan.source_key == key and is_promised(scan) else None

    def _arrived(self, promised: Scan, found: ObjectInfo, announced: Announced) -> Scan:
        self._take_unpromised(promised, found)
        cause = Cause(Mover.SERVICE, f"{found.size} bytes are there", announced.actor, announced.request_id)
        values = {"source_etag": found.etag, "enqueued_at": clock.now(), "lease_until": None}
        values["lane"] = self._lane(found, promised.filename, promised.declared_type)
        with self._database.write() as connection:
            moved = scans.move(connection, promised.id, Status.RECEIVING, Status.QUEUED, cause, **values)
            scan = moved or scans.get(connection, promised.id) or promised
        if moved:
            self._accepted(moved, found)
        return scan

    def _take_unpromised(self, promised: Scan, found: ObjectInfo) -> None:
        """The form lets nobody send more than was promised and counted; credentials of the service's own do."""
        if promised.promised_size is not None and found.size > promised.promised_size:
            limits = self._policies.of(promised.service).limits
            self._quotas.take_bytes(promised.service, limits, found.size - promised.promised_size)

    def _sent(self, key: str, found: ObjectInfo, announced: Announced) -> Scan:
        """A new scan; or the one that stands for this very object, whoever was first."""
        if known := self._known(key, found):
            return known
        limits = self._policies.of(announced.service).limits
        self._quotas.take_bytes(announced.service, limits, found.size)
        now = clock.now()
        moments = {"queued_at": now, "enqueued_at": now, "tidy_at": now + self._lease}
        lane = self._lane(found, announced.filename, announced.declared_type)
        values = {"source_key": key, "source_etag": found.etag, "lane": lane, **moments}
        scan = self._new(announced, clock.new_id(), Status.QUEUED, **values)
        cause = Cause(Mover.SERVICE, f"{found.size} bytes are there", announced.actor)
        try:
            with self._database.write() as connection:
                scans.add(connection, scan, cause)
        except IntegrityError:
            if known := self._known(key, found):
                return known
            raise
        self._accepted(scan, found)
        return scan

    def _known(self, key: str, found: ObjectInfo) -> Scan | None:
        """The scan of this object."""
        with self._database.write() as connection:
            scan = scans.of_source(connection, key, found.etag)
            return _told_again(connection, scan) if scan else None

    def _lane(self, found: ObjectInfo, filename: str, declared_type: str | None) -> Lane:
        return lane_of(found.size, filename, declared_type, self._settings.large_size)

    def _accepted(self, scan: Scan, found: ObjectInfo) -> None:
        telemetry.say(Log.UPLOAD_ACCEPTED, scan_id=scan.id, service=scan.service, size=found.size)
        metrics.taken_in(scan.service, Way.DIRECT, found.size)
        hand_over(self._database, self._queue, scan)

    def _new(self, announced: Announced, scan_id: str, status: Status, **values: Any) -> Scan:
        moment = clock.moment_of(scan_id)
        return Scan(
            id=scan_id,
            service=announced.service,
            status=status,
            filename=recordable(announced.filename, self._settings.max_filename_characters),
            declared_type=recordable(announced.declared_type or "", LONGEST_TYPE) or None,
            metadata=announced.metadata,
            created_at=moment,
            updated_at=moment,
            quarantine_key=sealed_key(scan_id),
            clean_prefix=self._policies.of(announced.service).prefix or default_prefix(announced.service),
            request_id=announced.request_id,
            **values,
        )


def _told_again(connection: Connection, scan: Scan) -> Scan:
    """The same scan. Where it has ended, the file was sent once more: nobody will ever look at it, and the sweeper
    takes it away."""
    if scan.status.ended:
        scans.amend_untouched(connection, scan, tidy_at=clock.now())
    return scan
