"""May a scan be begun now? While a dependency is down, work waits in `queued`: no attempt, no event, no claim."""

from __future__ import annotations

from worker.adapters.object_store import ObjectStore
from worker.errors import LazarettoError, StoreUnavailable, Unavailable
from worker.scanners import Scanners


class Gate:
    """One per worker process. Costs nothing while all is well."""

    def __init__(self, scanners: Scanners, objects: ObjectStore, bucket: str) -> None:
        """`bucket`: quarantine."""
        self._scanners, self._objects, self._bucket = scanners, objects, bucket
        self._store_doubted = False

    def obstacle(self) -> Unavailable | None:
        """What keeps every scan from being begun."""
        try:
            self._scanners.check()
            if self._store_doubted:
                self._objects.check(self._bucket)
        except Unavailable as fault:
            return fault
        except LazarettoError:
            pass  # the store answers; what it objects to, the scan will tell
        self._store_doubted = False
        return None

    def learn(self, fault: Exception) -> None:
        """A scan ended with this fault; the store is asked before the next one where it was away."""
        self._store_doubted = isinstance(fault, StoreUnavailable)
