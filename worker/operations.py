"""Use cases of whoever owns or operates a scan: each on record with who asked, and each the next decision."""

from __future__ import annotations

from dataclasses import dataclass

from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.scan import Cause, Mover, Scan, Status
from worker.settings import Settings
from worker.store import scans
from worker.store.database import Database
from worker.tidy import Tidier


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks for something, and why."""

    actor: str  # as events name them
    mover: Mover  # SERVICE for its own scans, else OPERATOR
    request_id: str | None = None
    reason: str | None = None  # in their own words

    def cause(self, what: str) -> Cause:
        """What the event will say."""
        return Cause(self.mover, f"{what}: {self.reason}" if self.reason else what, self.actor, self.request_id)


class Operations:
    """Safe to use from several threads."""

    def __init__(self, database: Database, objects: ObjectStore, settings: Settings) -> None:
        self._database = database
        self._tidier = Tidier(database, objects, settings)

    def erase(self, scan: Scan, order: Order) -> Scan:
        """Delete the bytes of a scan wherever they are, at any status; the record stays. Safe to repeat.

        Whoever works on it finds it gone; what they may still be writing the sweeper deletes one lease later.
        Raises `StoreUnavailable` where the bytes are still there: the sweeper deletes them when the store is back.
        """
        while scan.status is not Status.ERASED:
            scan = self._erased(scan, order.cause("erased on request"))
        self._tidier.tidy(scan)
        return scan

    def _erased(self, scan: Scan, cause: Cause) -> Scan:
        """The scan, erased, or as somebody else has just left it."""
        with self._database.write() as connection:
            moved = scans.move(connection, scan.id, scan.status, Status.ERASED, cause, tidy_at=clock.now())
            return moved or scans.get(connection, scan.id) or scan
