"""Recovery of the buckets: what a late writer left, and uploads in parts that nobody ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from worker import clock, telemetry
from worker.adapters.object_store import ObjectStore
from worker.errors import DatabaseUnavailable, LazarettoError
from worker.scan import Scan
from worker.settings import Settings
from worker.store import backlog, scans
from worker.store.database import Database
from worker.telemetry import Log
from worker.tidy import Tidier

_BATCH = 500
_FAULTS = 3  # of the store in one sweep; whoever is away is not asked 500 times
_STALE_UPLOADS_SECONDS = 600.0  # between two looks at what nobody may ever look at


class BucketSweeper:
    """Two steps of the sweeper; safe to repeat, and at once."""

    def __init__(self, database: Database, objects: ObjectStore, settings: Settings) -> None:
        self._database, self._objects, self._settings = database, objects, settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._tidier = Tidier(database, objects, settings)
        self._aborted_at: float | None = None  # monotonic

    def tidy(self) -> Iterator[Scan]:
        """Look once more at the buckets of scans that ended while somebody may still have been writing. Yields each
        that is tidy; one that cannot be tidied holds up no other. Raises the first fault, at the end."""
        faults = list[LazarettoError]()
        with self._database.read() as connection:
            untidy = backlog.find(connection, backlog.untidy(clock.now()), _BATCH)
        for scan in untidy:
            try:
                self._tidier.tidy(scan)
                yield scan
            except DatabaseUnavailable:
                raise
            except LazarettoError as fault:
                faults.append(fault)
                telemetry.alarm(Log.TIDY_FAILED, scan_id=scan.id, request_id=scan.request_id, error=fault.message)
                self._put_off(scan)
            if len(faults) == _FAULTS:
                break
        if faults:
            raise faults[0]

    def abort_stale(self) -> int:
        """Abort multipart uploads that no record leads to, a service's own or what an outage made of ours; how many.

        Raises what the store raises.
        """
        now, aborted = time.monotonic(), 0
        if self._aborted_at is not None and now < self._aborted_at + _STALE_UPLOADS_SECONDS:
            return 0
        before = clock.now() - timedelta(seconds=self._settings.receive_timeout)
        for bucket in (self._settings.quarantine_bucket, self._settings.clean_bucket):
            aborted += self._objects.abort_all(bucket, "", before)
        self._aborted_at = now
        return aborted

    def _put_off(self, scan: Scan) -> None:
        with self._database.write() as connection:
            scans.amend_untouched(connection, scan, tidy_at=clock.now() + self._lease)
