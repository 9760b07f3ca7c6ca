"""Pages for Prometheus, kept for a moment: a flood of requests costs no more than one."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from prometheus_client.registry import Collector

from worker import exposition

_FRESH_SECONDS = 3.0


class Scrapes:
    """One page in each format, made again where it is stale; whoever comes meanwhile waits for the same."""

    def __init__(self, collector: Collector, threads: Executor) -> None:
        """`threads`: in which it is made."""
        self._collector, self._threads = collector, threads
        self._pages: dict[bool, tuple[float, bytes]] = {}
        self._turn = asyncio.Lock()

    async def page(self, as_open: bool) -> bytes:
        """In OpenMetrics, or in Prometheus' own format."""
        async with self._turn:
            made, page = self._pages.get(as_open, (0.0, b""))
            if not page or time.monotonic() > made + _FRESH_SECONDS:
                loop = asyncio.get_running_loop()
                page = await loop.run_in_executor(self._threads, exposition.page, self._collector, as_open)
                self._pages[as_open] = time.monotonic(), page
            return page
