"""Whoever waits for a scan's end hears of it through Redis, and needs no Redis to learn of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from structlog.testing import capture_logs

from api.endings import Endings
from api.waiting import Waiting
from tests.system import System, chunks, incoming
from worker.hints import Hints
from worker.operations import Order
from worker.policies import Policies
from worker.scan import Mover, Scan, Status
from worker.store import scans
from worker.telemetry import Log

NEVER = 3600.0  # seconds: no look is due within a test
PATIENCE = 20.0


class Waiter:
    """One who waits for a scan."""

    def __init__(self, system: System, threads: ThreadPoolExecutor, redis_url: str) -> None:
        self.endings = Endings(redis_url, connect_timeout=1)
        self.waiting = Waiting(system.database, self.endings, threads)
        self._system = system

    async def wait(self, scan: Scan) -> Scan:
        async def read() -> Scan:
            found = await asyncio.to_thread(self._found, scan.id)
            assert found is not None
            return found

        return await self.waiting.until_ended(scan.id, PATIENCE, read)

    def _found(self, scan_id: str) -> Scan | None:
        with self._system.database.read() as connection:
            return scans.get(connection, scan_id)

    async def ended(self, scan: Scan, end: Callable[[], Awaitable[None]]) -> Status:
        """What they are told; `end` ends the scan while they wait and hear."""
        waits = asyncio.create_task(self.wait(scan))
        await _until(lambda: self.endings.heard)
        await end()
        return (await waits).status


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def no_look_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.waiting._TICK", NEVER)
    monkeypatch.setattr("api.waiting._SLOW_TICK", NEVER)


@pytest.mark.usefixtures("no_look_is_due")
def test_an_end_that_is_told_is_looked_at_at_once(system: System, threads: ThreadPoolExecutor) -> None:
    async def flow() -> Status:
        scan, other = await _upload(system), await _upload(system)
        waiter = _waiter(system, threads)

        async def end() -> None:
            _tell(system, other)
            await asyncio.to_thread(_erase, system, scan)
            _tell(system, scan)

        return await waiter.ended(scan, end)

    assert asyncio.run(flow()) is Status.ERASED


@pytest.mark.usefixtures("no_look_is_due")
def test_what_ends_while_nobody_hears_is_looked_at_when_they_hear_again(
    system: System, threads: ThreadPoolExecutor
) -> None:
    async def flow() -> Status:
        scan = await _upload(system)

        async def end() -> None:
            with redis.Redis.from_url(system.settings.redis_url.get_secret_value()) as client:
                assert client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.to_thread(_erase, system, scan)

        return await _waiter(system, threads).ended(scan, end)

    with capture_logs() as lines:
        assert asyncio.run(flow()) is Status.ERASED
    assert [line["event"] for line in lines].count(Log.ENDS_NOT_HEARD) == 1


def test_an_end_that_nobody_tells_is_found(system: System, threads: ThreadPoolExecutor) -> None:
    async def flow() -> Status:
        scan = await _upload(system)

        async def end() -> None:
            await asyncio.to_thread(_erase, system, scan)

        return await _waiter(system, threads).ended(scan, end)

    assert asyncio.run(flow()) is Status.ERASED


def test_no_redis_is_needed(system: System, threads: ThreadPoolExecutor) -> None:
    async def flow() -> Status:
        scan = await _upload(system)
        waits = asyncio.create_task(Waiter(system, threads, "redis://127.0.0.1:1/0").wait(scan))
        await asyncio.to_thread(_erase, system, scan)
        return (await waits).status

    assert asyncio.run(flow()) is Status.ERASED


def _waiter(system: System, threads: ThreadPoolExecutor) -> Waiter:
    return Waiter(system, threads, system.settings.redis_url.get_secret_value())


async def _upload(system: System) -> Scan:
    return await system.intake().receive(incoming(), chunks(b"hello"), dict)


def _erase(system: System, scan: Scan) -> None:
    system.operations().erase(scan, Order("a test", Mover.SERVICE, "request-1"))


def _tell(system: System, scan: Scan) -> None:
    Hints(system.queue, Policies(system.settings.policy_file)).ended(scan.service, scan.id)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)
