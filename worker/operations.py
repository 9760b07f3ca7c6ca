"""Use cases of whoever owns or operates a scan: each on record with who asked, and each the next decision."""

from __future__ import annotations

from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.scan import Cause, Mover, Scan, Status
from worker.settings import Settings
from worker.store import scans
from worker.store.database import Database
from worker.tidy import Tidier


class Operations:
    """Safe to use from several threads."""

    def __init__(self, database: Database, objects: ObjectStore, settings: Settings) -> None:
        self._database = database
        self._tidier = Tidier(database, objects, settings)

    def erase(self, scan: Scan, actor: str, request_id: str) -> Scan:
        """Delete the bytes of a scan wherever they are, at any status; the record stays. Safe to repeat.

        Whoever works on it finds it gone; what they may still be writing the sweeper deletes one lease later.
        Raises `StoreUnavailable` where the bytes are still there: the sweeper deletes them when the store is back.
        """
        cause = Cause(Mover.SERVICE, "erased on request", actor, request_id)
        while scan.status is not Status.ERASED:
            scan = self._erased(scan, cause)
        self._tidier.tidy(scan)
        return scan

    def _erased(self, scan: Scan, cause: Cause) -> Scan:
        """The scan, erased, or as somebody else has just left it."""
        with self._database.write() as connection:
            moved = scans.move(connection, scan.id, scan.status, Status.ERASED, cause, tidy_at=clock.now())
            return moved or scans.get(connection, scan.id) or scan
