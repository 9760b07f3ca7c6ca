"""Use case: take an upload in. Row → bytes into quarantine → `queued` → task.

The row exists before the bytes, and the commit comes before the task: a crash at any point leaves something that
the sweeper finds.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from worker import clock, metrics, telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.body import Body, FileTooLarge
from worker.errors import DatabaseUnavailable, LazarettoError, ObjectMissing, StoreUnavailable
from worker.handover import hand_over
from worker.hints import Hints
from worker.idempotency import UNRESERVED, Reservation
from worker.instruments import Way
from worker.keys import default_prefix, sealed_key
from worker.lanes import lane_of
from worker.policies import Policies
from worker.quarantine import QuarantineWriter
from worker.scan import Cause, Content, Mover, Reason, ReasonCode, Scan, Status
from worker.settings import Settings
from worker.store import claims, scans
from worker.store.database import Database
from worker.telemetry import Log

LONGEST_TYPE = 255  # characters; RFC 6838 allows 127 + 1 + 127


class UploadOvertaken(LazarettoError):
    """The upload was given up before its last byte was on record; it can be sent again."""

    code = "upload_overtaken"
    retryable = True
    expected = "the same upload again"


@dataclass(frozen=True, slots=True)
class Incoming:
    """What is known of an upload before its first byte. Names and types are the client's words."""

    service: str
    actor: str
    filename: str
    declared_type: str | None
    size: int | None  # bytes, where the client announced it
    request_id: str
    way: Way

    def fields(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """What the client said of the file: the same again is the same request."""
        return {"filename": self.filename, "declared_type": self.declared_type, "metadata": metadata}


class Intake:
    """Takes uploads in. One per API process; many uploads at once."""

    def __init__(
        self, database: Database, objects: ObjectStore, queue: TaskQueue, policies: Policies, settings: Settings
    ) -> None:
        self._database, self._objects, self._queue = database, objects, queue
        self._policies, self._settings = policies, settings
        self._hints = Hints(queue, policies)
        self._lease = timedelta(seconds=settings.receive_lease)

    async def receive(
        self,
        incoming: Incoming,
        stream: AsyncIterator[bytes],
        metadata: Callable[[], dict[str, Any]],
        reservation: Reservation = UNRESERVED,
    ) -> Scan:
        """Take one upload in; returns its scan, `queued`.

        `metadata` is asked after the last byte: in a form it may come after the file. `reservation`: of the request's
        key.
        Raises `FileTooLarge` (the row ends `rejected`), `UploadStalled`, `UploadOvertaken` and whatever `stream` or the
        services raise (the row ends `expired`). No bytes stay behind: what cannot be deleted now, the sweeper deletes.
        """
        scan = await asyncio.to_thread(self._begin, incoming)
        key = sealed_key(scan.id)
        writer = QuarantineWriter(self._objects, self._settings.quarantine_bucket, key, self._settings.part_size)
        try:
            await self._fill(scan, writer, incoming, stream, reservation)
            begun = time.monotonic()
            content = await writer.close()
            tidy_at = self._in_a_lease() if self._may_land_twice(time.monotonic() - begun) else None
            fields = incoming.fields(metadata())
            accepted = await asyncio.to_thread(self._accept, scan, content, fields, tidy_at, reservation)
            metrics.taken_in(accepted.service, incoming.way, content.size)
            return accepted
        except BaseException as fault:  # also a cancelled request: nothing may stay behind
            await asyncio.shield(self._give_up(scan, writer, fault))
            if isinstance(fault, ObjectMissing):  # whoever gave the upload up has thrown its parts away
                raise UploadOvertaken from fault
            raise

    async def replay(
        self,
        incoming: Incoming,
        stream: AsyncIterator[bytes],
        metadata: Callable[[], dict[str, Any]],
        reservation: Reservation,
    ) -> Scan:
        """The scan of an upload that is sent once more, with a reservation that is bound. Its bytes are read, and not
        kept.

        Raises `KeyReused` where anything differs, `FileTooLarge`, `UploadStalled` and whatever `stream` raises.
        """
        body, digest = self._body(incoming, stream), hashlib.sha256()
        while chunk := await body.next():
            digest.update(chunk)
        scan = await asyncio.to_thread(reservation.replay, incoming.fields(metadata()), digest.hexdigest())
        if scan is None:
            raise ValueError("nothing was accepted under this reservation")
        return scan

    def _body(self, incoming: Incoming, stream: AsyncIterator[bytes]) -> Body:
        limit = self._policies.of(incoming.service).max_size
        idle_timeout = self._settings.upload_idle_timeout
        return Body(stream, announced=incoming.size, max_size=limit, idle_timeout=idle_timeout)

    async def _fill(
        self,
        scan: Scan,
        writer: QuarantineWriter,
        incoming: Incoming,
        stream: AsyncIterator[bytes],
        reservation: Reservation,
    ) -> None:
        body = self._body(incoming, stream)
        pause = self._settings.receive_lease / 4
        renew_at = time.monotonic() + pause
        while chunk := await body.next():
            await writer.write(chunk)
            if time.monotonic() > renew_at and await asyncio.to_thread(self._renew, scan, reservation):
                renew_at = time.monotonic() + pause

    def _renew(self, scan: Scan, reservation: Reservation) -> bool:
        """Tell the sweeper that the upload goes on. False: not now, the lease runs on. Raises `UploadOvertaken`."""
        try:
            with self._database.write() as connection:
                if not claims.renew_upload(connection, scan.id, self._in_a_lease()):
                    raise UploadOvertaken
                reservation.renew(connection)
        except DatabaseUnavailable as fault:
            telemetry.warn(Log.LEASE_NOT_RENEWED, scan_id=scan.id, error=fault.message)
            return False
        return True

    def _in_a_lease(self) -> datetime:
        return clock.now() + self._lease

    def _begin(self, incoming: Incoming) -> Scan:
        scan_id = clock.new_id()
        moment = clock.moment_of(scan_id)
        scan = Scan(
            id=scan_id,
            service=incoming.service,
            status=Status.RECEIVING,
            filename=recordable(incoming.filename, self._settings.max_filename_characters),
            declared_type=recordable(incoming.declared_type or "", LONGEST_TYPE) or None,
            created_at=moment,
            updated_at=moment,
            quarantine_key=sealed_key(scan_id),
            clean_prefix=self._policies.of(incoming.service).prefix or default_prefix(incoming.service),
            request_id=incoming.request_id,
            lease_until=self._in_a_lease(),
        )
        with self._database.write() as connection:
            scans.add(connection, scan, Cause(Mover.SERVICE, "upload begun", incoming.actor))
        return scan

    def _may_land_twice(self, seconds: float) -> bool:
        """A store that was silent for so long was asked again, and may yet carry out the first call: after the scan."""
        return seconds >= self._settings.s3_timeout

    def _accept(
        self, scan: Scan, content: Content, fields: dict[str, Any], tidy_at: datetime | None, reservation: Reservation
    ) -> Scan:
        cause = Cause(Mover.INTAKE, f"{content.size} bytes are in quarantine")
        values = {
            "enqueued_at": clock.now(),
            "lane": lane_of(content.size, scan.filename, scan.declared_type, self._settings.large_size).value,
            "lease_until": None,
            "size": content.size,
            "sha256": content.sha256,
            "etag": content.etag,
            "metadata": fields["metadata"],
            "tidy_at": tidy_at,
        }
        with self._database.write() as connection:
            accepted = scans.move(connection, scan.id, Status.RECEIVING, Status.QUEUED, cause, **values)
            if accepted is None:
                raise UploadOvertaken
            reservation.bind(connection, scan.id, fields, content.sha256)
        telemetry.say(Log.UPLOAD_ACCEPTED, scan_id=scan.id, service=scan.service, size=content.size)
        hand_over(self._database, self._queue, accepted)
        return accepted

    async def _give_up(self, scan: Scan, writer: QuarantineWriter, fault: BaseException) -> None:
        """End the row first: only whoever ends it may delete the bytes, which may just have been accepted. From then
        on the sweeper sees to what is not done here."""
        try:
            ended = await asyncio.to_thread(self._end, scan, fault)
            if ended is None:
                return
            await writer.discard()
            if not isinstance(fault, StoreUnavailable):  # who may still carry out what we gave up waiting for
                await asyncio.to_thread(self._forget, ended)
        except LazarettoError as obstacle:
            telemetry.warn(Log.UPLOAD_BROKEN_OFF, scan_id=scan.id, error=obstacle.message, left_to="sweeper")

    def _end(self, scan: Scan, fault: BaseException) -> Scan | None:
        """The scan as we ended it; or as it was, where somebody else did, who may have looked at the bucket before our
        last call: the sweeper will look again. None: it was accepted, and the answer to our COMMIT was lost."""
        target, why, reasons = Status.EXPIRED, f"the upload broke off ({type(fault).__name__})", []
        if isinstance(fault, FileTooLarge):
            target, why = Status.REJECTED, fault.message
            reasons = [asdict(Reason(ReasonCode.FILE_TOO_LARGE, fault.message))]
        cause = Cause(Mover.INTAKE, why)
        tidy_at = self._in_a_lease()
        with self._database.write() as connection:
            values = {"reasons": reasons, "tidy_at": tidy_at}
            ended = scans.move(connection, scan.id, Status.RECEIVING, target, cause, **values)
            if ended is None and not claims.mark_broken_off(connection, scan.id, tidy_at):
                return None
        self._hints.ended(scan.service, scan.id)
        telemetry.say(Log.UPLOAD_REFUSED if reasons else Log.UPLOAD_BROKEN_OFF, scan_id=scan.id, why=why)
        return ended or scan

    def _forget(self, scan: Scan) -> None:
        """Nothing is left of it in quarantine, and nobody writes there any more; if it was us who ended it."""
        with self._database.write() as connection:
            scans.amend_untouched(connection, scan, quarantine_key=None, tidy_at=None)


def recordable(text: str, longest: int) -> str:
    """Text from outside as every database can hold it: no NUL, no half of a surrogate pair, not endless."""
    whole = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return whole if len(whole) <= longest else whole[: longest - 1] + "…"
