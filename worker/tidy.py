"""Step: make the buckets say what the record says of a scan that has ended. Safe to repeat, at any time.

A worker that lost its lease, or an upload that was given up, may still have a call to the store under way. So whoever
ends a scan that somebody else may be writing for sets `tidy_at` one lease ahead, and the sweeper looks again then.
"""

from __future__ import annotations

from datetime import timedelta

from worker import clock, promotions, sources
from worker.adapters.object_store import ObjectStore
from worker.keys import is_promised, sealed_key
from worker.scan import HELD, PROMOTED, Scan
from worker.settings import Settings
from worker.store import scans
from worker.store.database import Database


class Tidier:
    """Deletes what is where it should not be; puts nothing anywhere."""

    def __init__(self, database: Database, objects: ObjectStore, settings: Settings) -> None:
        self._database, self._objects = database, objects
        self._quarantine, self._clean = settings.quarantine_bucket, settings.clean_bucket
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._receive_lease = timedelta(seconds=settings.receive_lease)
        self._form_life = timedelta(seconds=settings.presigned_seconds)

    def tidy(self, scan: Scan) -> None:
        """Empty both buckets of what `scan`, which has ended, does not own. Raises what the store raises."""
        if not _is_held(scan):
            self._empty_quarantine(scan)
        if scan.status not in HELD or scan.sealed:  # else what is held is still where the service put it
            sources.remove(self._objects, self._quarantine, scan)
        self._empty_clean(scan)
        self._record(scan)

    def _empty_quarantine(self, scan: Scan) -> None:
        key = scan.quarantine_key or sealed_key(scan.id)
        self._objects.abort_all(self._quarantine, key)
        self._objects.delete(self._quarantine, key)

    def _empty_clean(self, scan: Scan) -> None:
        own = scan.promoted.key if scan.promoted and scan.status in PROMOTED else None
        promotions.remove(self._objects, self._clean, scan, keep=own)

    def _record(self, scan: Scan) -> None:
        """Once more, one lease after the end, unless that was it; an upload's own where its last byte never came. A
        form that was given out can be used again until it expires."""
        lease = self._lease if scan.sealed else self._receive_lease
        once_more = (scan.finished_at or clock.now()) + lease
        if is_promised(scan):
            once_more = max(once_more, scan.created_at + self._form_life + lease)
        values = {"tidy_at": None if once_more <= clock.now() else once_more}
        if not _is_held(scan):
            values["quarantine_key"] = None
        with self._database.write() as connection:
            scans.amend_untouched(connection, scan, **values)


def _is_held(scan: Scan) -> bool:
    """Do its bytes wait in quarantine for somebody's decision?"""
    return scan.status in HELD and scan.quarantine_key is not None
