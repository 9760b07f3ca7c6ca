"""What five hundred clients that wait for their scans cost those who upload, on one API process."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import httpx

from ops.bench.reception import KEY, Reception
from ops.bench.row import Better, Row

WAITERS = 500
_UPLOADS = 40  # of a round, each way
_MOST = 1.3  # times what an upload takes while nobody waits
_WAIT = 60  # seconds; longer than it is measured
_DATA = b"a line of text\n" * 1000


def rows(reception: Reception, rounds: int, waiters: int = WAITERS, uploads: int = _UPLOADS) -> Iterator[Row]:
    """Medians in milliseconds, one upload after the other, each waiter with a scan of its own; with and without in
    turns."""
    with _client(reception.url) as client:
        with ThreadPoolExecutor(8) as pool:
            scans = list(pool.map(lambda _: _upload(client), range(waiters)))
        _seconds(client, uploads)
        ours, floor = [], []
        for _ in range(rounds):
            floor += _seconds(client, uploads)
            with _waiting(reception.url, scans):
                ours += _seconds(client, uploads)
    value, least = statistics.median(ours) * 1000, statistics.median(floor) * 1000
    yield Row(f"an upload while {waiters} clients wait", value, "ms", least, Better.LOWER, _MOST)


def _seconds(client: httpx.Client, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        _upload(client)
        taken.append(time.perf_counter() - begun)
    return taken


def _upload(client: httpx.Client) -> str:
    answer = client.put("/v1/uploads/a.txt", content=_DATA).raise_for_status()
    return str(answer.json()["id"])


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30, trust_env=False)


@contextmanager
def _waiting(url: str, scans: list[str]) -> Iterator[None]:
    """A client for each of these scans, none of whom is answered inside the block."""
    address = urlsplit(url)
    with ExitStack() as stack:
        for scan in scans:
            connection = socket.create_connection((address.hostname or "", address.port or 0))
            stack.enter_context(closing(connection))
            head = f"GET /v1/scans/{scan}?wait={_WAIT} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            connection.sendall(f"{head}Authorization: Bearer {KEY}\r\n\r\n".encode())
        time.sleep(1)  # until all of them have been read
        yield
