"""The right to work on a scan: short, renewed while work goes on, and lost for good when it is not."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from worker import clock, telemetry
from worker.errors import LazarettoError, LeaseLost, LeaseOver, Stopped, TimeLimitExceeded
from worker.scan import Scan
from worker.store import claims
from worker.store.database import Database
from worker.telemetry import Log

_TICK = 0.2  # seconds between two looks at the time

Renewal = Callable[[Connection, Scan, datetime], bool]  # holds the lease until then; False: it is lost


class Lease:
    """Held by the worker whose token stands on the row; one thread ends the work when it must end, and starts another
    that renews the lease where the work takes so long: most is done before.

    Work ends before it is done where the lease is lost or could not be renewed, where the scan takes too long, and
    where the worker is stopped. Whatever blocks then is interrupted; `check` raises why.
    The end of the lease is kept in `clock.elapsed`, counted from before each renewal: we think it over no later than
    the sweeper does.
    """

    def __init__(
        self,
        database: Database,
        scan: Scan,
        *,
        begun: float,
        seconds: float,
        limit: float,
        interrupt: Callable[[], None],
        renew: Renewal = claims.renew,
    ) -> None:
        """`scan`: as claimed. `begun`: `clock.elapsed()` from before the claim. `seconds`: of the lease. `limit`:
        seconds for the whole work. `interrupt`: ends whatever blocks; called from another thread, again and again.
        `renew`: where the lease stands, if not on the scan."""
        self._database, self._scan, self._seconds = database, scan, seconds
        self._interrupt, self._renewed = interrupt, renew
        self._ends, self._limit_at = begun + seconds, begun + limit
        self._fault: Exception | None = None
        self._asked_to_stop = self._effects_under_way = False
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def fault(self) -> Exception | None:
        """Why work has to end before it is done; None while it may go on."""
        return self._fault

    def check(self, needed: float = 0) -> None:
        """Return if work may go on for `needed` more seconds. Raises `LeaseLost`, `LeaseOver`, `TimeLimitExceeded`
        and `Stopped`."""
        if self._fault:
            raise self._fault
        if clock.elapsed() + needed > self._ends:
            raise LeaseOver

    def stop(self) -> None:
        """Have the work end soon. Takes no lock: safe in a signal handler."""
        self._asked_to_stop = True

    def wait(self, seconds: float) -> bool:
        """Pause; True if work has to end before it is done."""
        over = clock.elapsed() + seconds
        while self._fault is None and clock.elapsed() < over:
            time.sleep(_TICK)
        return self._fault is not None

    @contextmanager
    def effects(self) -> Iterator[None]:
        """Around whatever changes a bucket: such a call must not outlive the lease, so then the process ends.

        A time-out of the store's client is one of silence, not of the whole call; only the end of its process
        surely ends it.
        """
        self._effects_under_way = True
        try:
            yield
        finally:
            self._effects_under_way = False

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"{target.__name__}-{self._scan.id}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _renew_on(self) -> None:
        pause = 0.0
        while not self._done.wait(pause):
            try:
                if not self._renew():
                    self._fault = self._fault or LeaseLost()
                    return
                pause = self._seconds / 3
            except LazarettoError as fault:  # the lease runs on; perhaps the next renewal works
                said = {"scan_id": self._scan.id, "request_id": self._scan.request_id, "error": fault.message}
                telemetry.warn(Log.LEASE_NOT_RENEWED, **said)
                pause = self._seconds / 15

    def _renew(self) -> bool:
        begun = clock.elapsed()
        until = clock.now() + timedelta(seconds=self._seconds)
        with self._database.write() as connection:
            if not self._renewed(connection, self._scan, until):
                return False
        self._ends = begun + self._seconds
        return True

    def _watch(self) -> None:
        renew_at = self._ends - self._seconds * 2 / 3 - _TICK  # two thirds are left at any moment
        while not self._done.wait(_TICK):
            if clock.elapsed() >= renew_at:
                with suppress(RuntimeError):  # no thread to be had: perhaps with the next look
                    self._start(self._renew_on)
                    renew_at = math.inf
            self._fault = self._fault or self._reason_to_end()
            if self._fault:
                self._interrupt()
            if self._effects_under_way and clock.elapsed() >= self._ends:
                _die()

    def _reason_to_end(self) -> Exception | None:
        now = clock.elapsed()
        if self._asked_to_stop:
            return Stopped()
        if now >= self._ends:
            return LeaseOver()
        return TimeLimitExceeded() if now >= self._limit_at else None

    def __enter__(self) -> Self:
        self._start(self._watch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        for thread in self._threads:  # the first may start the other, and no more when it has ended
            thread.join()


def _die() -> None:
    """As a whole and at once; the sweeper finds what is left."""
    os.kill(os.getpid(), signal.SIGKILL)
