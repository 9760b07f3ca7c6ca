"""The right to work on a scan: short, renewed while work goes on, and lost for good when it is not."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from worker import clock, telemetry
from worker.errors import LazarettoError, LeaseLost
from worker.store import scans, tables
from worker.store.database import Database
from worker.telemetry import Log


class Lease:
    """Held by the worker whose token stands on the row; a thread renews it at a third of its length.

    Its end is kept in monotonic time, counted from before each renewal: we think it over no later than the
    sweeper does.
    """

    def __init__(self, database: Database, scan_id: str, token: str, seconds: float, begun: float) -> None:
        """`begun`: `time.monotonic()` from before the claim."""
        self.token = token
        self._database, self._scan_id, self._seconds = database, scan_id, seconds
        self._ends = begun + seconds
        self._stop = threading.Event()
        self._renewer = threading.Thread(target=self._renew_on, name=f"lease-{scan_id}", daemon=True)

    def check(self, needed: float = 0) -> None:
        """Return if the scan is ours for `needed` more seconds. Raises `LeaseLost`."""
        if time.monotonic() + needed > self._ends:
            raise LeaseLost(f"the lease on {self._scan_id} is over; another worker may own it")

    def _renew_on(self) -> None:
        while not self._stop.wait(self._seconds / 3):
            try:
                if not self._renew():
                    self._ends = 0
                    return
            except LazarettoError as fault:  # the lease runs on; perhaps the next renewal works
                telemetry.warn(Log.LEASE_NOT_RENEWED, scan_id=self._scan_id, error=fault.message)

    def _renew(self) -> bool:
        begun = time.monotonic()
        until = clock.now() + timedelta(seconds=self._seconds)
        with self._database.write() as connection:
            ours = tables.scans.c.token == self.token
            if not scans.amend(connection, self._scan_id, ours, lease_until=until):
                return False
        self._ends = begun + self._seconds
        return True

    def __enter__(self) -> Self:
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._renewer.join()
