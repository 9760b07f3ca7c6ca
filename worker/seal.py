"""Step: take a direct upload out of its service's hands, or a copy of what was there before us, before anybody looks.

What lies under `incoming/`, or in a bucket that is not ours, can be written by others at any time. So it is copied
inside the store, pinned to the ETag it had when it was enqueued, to a key that only we write; that copy is fetched,
hashed and put on record. An ETag alone proves nothing, the SHA-256 is of the copy: whatever others write from then on
is not what the verdict is about.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from worker import sources
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import ObjectInfo, Place
from worker.errors import ContentChanged, ObjectMissing, Permanent
from worker.inspect import Inspector
from worker.keys import sealed_key
from worker.lease import Lease
from worker.scan import Reason, ReasonCode, Scan
from worker.scratch import Scratch
from worker.store import claims
from worker.store.database import Database


class Sealer:
    """Can be repeated at any point: until the copy is on record, it is made again."""

    def __init__(
        self, database: Database, objects: ObjectStore, inspector: Inspector, *, quarantine: str, call_seconds: float
    ) -> None:
        """`quarantine`: the bucket. `call_seconds`: how much of the lease must be left before a call to the store."""
        self._database, self._objects, self._inspector = database, objects, inspector
        self._quarantine, self._call_seconds = quarantine, call_seconds

    def seal(self, scan: Scan, max_size: int, lease: Lease, desk: ExitStack) -> tuple[Scan, Scratch] | Reason:
        """The scan with its bytes on record, and those bytes, which lie on the `desk`; or why they are not wanted.

        Raises `LeaseLost`, and what `Lease.check` and the store raise.
        """
        if scan.source_key is None:
            raise Permanent(f"the record of {scan.id} does not say where its bytes are")
        source = Place(scan.source_bucket or self._quarantine, scan.source_key)
        found = self._objects.head(*source)
        if found is None:
            self._objects.check(source.bucket)  # some stores say so where the whole bucket is missing
        if found is None or found.etag != scan.source_etag:
            return _changed()
        if found.size > max_size:
            return Reason(ReasonCode.FILE_TOO_LARGE, f"The file has {found.size} bytes, expected at most {max_size}.")
        try:
            copied = self._copied(scan, source, found, lease)
        except (ContentChanged, ObjectMissing):
            return _changed()
        file, sha256 = self._inspector.fetch_new(sealed_key(scan.id), copied.size, copied.etag, lease.check)
        desk.enter_context(file)
        return self._recorded(scan, copied, sha256), file

    def remove_source(self, scan: Scan, lease: Lease) -> None:
        """The service's own copy goes, once it is settled what becomes of ours; most scans have none."""
        if scan.source_key is None:
            return
        with lease.effects():
            lease.check(self._call_seconds)
            sources.remove(self._objects, self._quarantine, scan)

    def _copied(self, scan: Scan, source: Place, found: ObjectInfo, lease: Lease) -> ObjectInfo:
        target, check = Place(self._quarantine, sealed_key(scan.id)), partial(lease.check, self._call_seconds)
        with lease.effects():
            return self._objects.copy(source, target, found, check)

    def _recorded(self, scan: Scan, copied: ObjectInfo, sha256: str) -> Scan:
        with self._database.write() as connection:
            claims.amend(connection, scan, size=copied.size, etag=copied.etag, sha256=sha256)
        return replace(scan, size=copied.size, etag=copied.etag, sha256=sha256)


def _changed() -> Reason:
    return Reason(ReasonCode.CONTENT_CHANGED, "What was enqueued was replaced or removed before it could be scanned.")
