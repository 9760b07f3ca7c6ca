"""What can happen to a running site: processes killed, servers silent, messages lost or delivered again and again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import redis

from tests import processes
from tests.site import Site
from worker.adapters.task_queue import TaskQueue
from worker.errors import LazarettoError
from worker.scan import PENDING

SILENCE = (1.0, 4.0)  # seconds for which a server does not answer
DELIVERIES = 5  # of each task, in a storm
_SERVERS = ("redis", "clamd", "seaweedfs", "postgresql")
_OURS = ("api", "worker", "sweeper")


class Chaos:
    """One thing after another, each counted, in a thread of its own until `stop`."""

    def __init__(self, site: Site, seed: int, pause: float) -> None:
        """`pause`: seconds between two of them, on average."""
        self.counts: Counter[str] = Counter()
        self._site, self._pause = site, pause
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._later: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._rage, name="chaos", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let it end, with everything that it has put to sleep awake again."""
        self._stop.set()
        for thread in (self._thread, *self._later):
            thread.join()

    @property
    def raging(self) -> bool:
        return self._thread.is_alive()

    @property
    def total(self) -> int:
        return self.counts.total()

    def _rage(self) -> None:
        servers = [name for name in _SERVERS if self._site.pid(name)]
        kinds: list[tuple[str, Callable[[], bool]]] = [
            *((f"{name} killed", lambda name=name: self._kill(self._site.pid(name))) for name in (*_OURS, *servers)),
            *((f"{name} silent", lambda name=name: self._silence(self._site.pid(name))) for name in servers),
            *((f"{part} killed", lambda part=part: self._kill(self._one_of(part))) for part in self._site.PARTS),
            ("worker process stalled", self._stall),
            ("Redis emptied", self._flush),
            ("tasks delivered again", self._storm),
        ]
        while True:
            self._random.shuffle(kinds)
            for name, happen in kinds:
                if self._stop.wait(self._pause * self._random.uniform(0.5, 1.5)):
                    return
                with suppress(ProcessLookupError, redis.RedisError, LazarettoError):  # it is away already
                    self.counts[name] += happen()

    def _one_of(self, part: str) -> int | None:
        found = sorted(self._site.processes(part))
        return self._random.choice(found) if found else None

    def _kill(self, pid: int | None) -> bool:
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    def _silence(self, pid: int | None) -> bool:
        """A server that takes connections and answers nothing, with all its processes."""
        return pid is not None and self._sleep(processes.family(pid), self._random.uniform(*SILENCE))

    def _stall(self) -> bool:
        """A worker process sleeps for longer than its lease, and wakes up thinking that no time has passed."""
        pid = self._one_of("worker process")
        return pid is not None and self._sleep({pid}, self._site.lease_seconds * 1.5)

    def _sleep(self, pids: frozenset[int] | set[int], seconds: float) -> bool:
        def wake() -> None:
            time.sleep(seconds)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self._later.append(threading.Thread(target=wake, daemon=True))
        self._later[-1].start()
        return True

    def _flush(self) -> bool:
        with redis.Redis.from_url(self._site.variables["LAZARETTO_REDIS_URL"], socket_timeout=2) as client:
            client.flushall()
        return True

    def _storm(self) -> bool:
        """Every scan that is on its way, delivered to whoever is free."""
        pending = self._site.ids(PENDING)
        queue = TaskQueue(self._site.settings)
        for scan_id in pending * DELIVERIES:
            queue.enqueue(scan_id)
        queue.close()
        return bool(pending)
