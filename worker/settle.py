"""Step: carry a recorded verdict out. Promote, delete, hold or recall; each can be repeated at any point."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from worker import promotions
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Exactly, Label, Place
from worker.errors import Permanent
from worker.lease import Lease
from worker.scan import PROMOTED, Promoted, Scan, ScannerInfo
from worker.scratch import Scratch


class Settler:
    """The only code that writes to the clean bucket."""

    def __init__(self, objects: ObjectStore, *, quarantine: str, call_seconds: float) -> None:
        """`quarantine`: the bucket. `call_seconds`: how much of the lease must be left before a call to the store."""
        self._objects, self._quarantine, self._call_seconds = objects, quarantine, call_seconds

    def settle(self, scan: Scan, key: str | None, lease: Lease, proven: Callable[[], Scratch], resumed: bool) -> None:
        """Make the buckets say what the verdict says. Nothing is at `key` in quarantine afterwards, unless it is held;
        None: nothing has been for long, the bytes are in the clean bucket, and are recalled from there.

        `proven` gives the very bytes that were proven clean, or the image made of them, or that were released. They
        are written, not copied inside the store: whatever lies in quarantine by now, nobody has looked at it.
        `resumed`: an earlier attempt may have come some way. Raises what `Lease.check`, `proven` and the store raise.
        """
        if scan.held:
            return
        if scan.verdict in PROMOTED:
            self._promote(scan, lease, proven, resumed)
        if scan.recalled:
            self._recall(scan, lease)
        if key is not None:
            self.delete(key, lease)

    def delete(self, key: str, lease: Lease) -> None:
        """Whatever lies there now, also nothing."""
        with lease.effects():
            lease.check(self._call_seconds)
            self._objects.delete(self._quarantine, key)

    def _promote(self, scan: Scan, lease: Lease, proven: Callable[[], Scratch], resumed: bool) -> None:
        target = scan.promoted
        if target is None:
            raise Permanent(f"scan {scan.id} is to be {scan.verdict}, but no object to promote is on record")
        if resumed and self._is_there(target):
            return
        label, place = _label(scan, target, scan.scanner), Place(target.bucket, target.key)
        content, check = Exactly(target.size, target.sha256), partial(lease.check, self._call_seconds)
        with proven().reader() as body, lease.effects():
            self._objects.put_file(place, body, content, label, check)

    def _recall(self, scan: Scan, lease: Lease) -> None:
        """First what services know of; then whatever else there is."""
        target = scan.promoted
        if target is None:
            return
        check = partial(lease.check, self._call_seconds)
        with lease.effects():
            check()
            self._objects.delete(target.bucket, target.key)
            promotions.remove(self._objects, target.bucket, scan, keep=None, before=check)

    def _is_there(self, target: Promoted) -> bool:
        found = self._objects.head(target.bucket, target.key)
        return found is not None and found.size == target.size and found.metadata.get("sha256") == target.sha256


def _label(scan: Scan, target: Promoted, scanner: ScannerInfo | None) -> Label:
    signatures = scanner.database or "development" if scanner else "unknown"
    return Label(target.type, {"scan-id": scan.id, "sha256": target.sha256, "signatures": signatures})
