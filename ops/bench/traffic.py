"""Clients that come by the clock, whether or not those before them have been served, and wait for their outcomes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from typing import NamedTuple

from ops.bench.arrivals import Arrival
from ops.bench.clients import Client
from ops.bench.corpus import File
from worker.scan import Status

_CLIENTS = 48  # at most at once


class Served(NamedTuple):
    """One file that ended as it should."""

    at: float  # by the monotonic clock
    seconds: float  # from when it was due


class Traffic:
    """From a number of threads, each with a connection."""

    def __init__(
        self, url: str, key: str, files: Iterator[Arrival], *, every: float = 0.0, clients: int = _CLIENTS
    ) -> None:
        """`every`: seconds from one file to the next; 0: as fast as these clients are served."""
        self._where, self._files, self._every, self._clients = (url, key), files, every, clients
        self._lock, self._over = threading.Lock(), threading.Event()
        self._due = time.monotonic()
        self._served: list[Served] = []
        self.faults: list[str] = []

    @contextmanager
    def going(self) -> Iterator[None]:
        """Inside the block; whoever is being served when it ends is waited for."""
        threads = [threading.Thread(target=self._go) for _ in range(self._clients)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            self._over.set()
            for each in threads:
                each.join()

    def served(self) -> list[Served]:
        """Since it was last asked."""
        with self._lock:
            done, self._served = self._served, []
        return done

    def _go(self) -> None:
        with closing(Client(*self._where)) as client:
            while not self._over.is_set():
                with self._lock:
                    (file, outcome), due = next(self._files), self._due
                    self._due = due + self._every
                if self._over.wait(max(0.0, due - time.monotonic())):
                    return
                self._serve(client, file, outcome, due if self._every else time.monotonic())

    def _serve(self, client: Client, file: File, outcome: Status, due: float) -> None:
        try:
            found = client.outcome(file)
        except (OSError, HTTPException, RuntimeError) as fault:
            client.close()
            found = f"{type(fault).__name__}: {fault}"
        now = time.monotonic()
        with self._lock:
            if found == outcome:
                self._served.append(Served(now, now - due))
            else:
                self.faults.append(f"{file.name}: {found}, expected {outcome}")
