"""What five hundred clients that wait for their scans cost those who upload, on one API process."""

from __future__ import annotations

import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from ops.bench.row import Row
from ops.embedded import s3_server
from ops.embedded.application import Api
from ops.embedded.configuration import Wishes, complete
from ops.embedded.ports import LOOPBACK, choose
from ops.embedded.programs import ours
from ops.embedded.redis_server import Redis
from ops.embedded.s3_server import Seaweed
from ops.embedded.supervisor import Supervisor

WAITERS = 500
_UPLOADS = 200  # measured, each way
_WARM_UP = 20
_MOST = 1.3  # times what an upload takes while nobody waits
_KEY = "benchmark"
_WAIT = 60  # seconds; longer than it is measured
_DATA = b"a line of text\n" * 1000


class _Api(Api):
    """Ready as soon as it takes uploads in: nobody scans here, so that everybody waits."""

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def rows() -> Iterator[Row]:
    """Medians in milliseconds, one upload after the other, each with a scan of its own to wait for."""
    with _api() as url, _client(url) as client:
        with ThreadPoolExecutor(8) as pool:
            scans = list(pool.map(lambda _: _upload(client), range(WAITERS)))
        _seconds(client, _WARM_UP)
        floor = statistics.median(_seconds(client, _UPLOADS)) * 1000
        with _waiting(url, scans):
            value = statistics.median(_seconds(client, _UPLOADS)) * 1000
    yield Row(f"an upload while {WAITERS} clients wait", value, "ms", floor, value / floor, _MOST * floor)


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
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {_KEY}"}, timeout=30, trust_env=False)


@contextmanager
def _waiting(url: str, scans: list[str]) -> Iterator[None]:
    """A client for each of these scans, none of whom is answered inside the block."""
    address = urlsplit(url)
    with ExitStack() as stack:
        for scan in scans:
            connection = socket.create_connection((address.hostname or "", address.port or 0))
            stack.enter_context(closing(connection))
            head = f"GET /v1/scans/{scan}?wait={_WAIT} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            connection.sendall(f"{head}Authorization: Bearer {_KEY}\r\n\r\n".encode())
        time.sleep(1)  # until all of them have been read
        yield


@contextmanager
def _api() -> Iterator[str]:
    """An API with its servers, and no worker; where it is."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lazaretto-bench-", dir="/var/tmp")))
        supervisor = stack.enter_context(Supervisor(folder / "logs", print))
        ports = choose(["redis", "api", *s3_server.PORTS])
        redis = Redis(folder / "redis", ports["redis"], "password")
        store = Seaweed(folder / "s3", folder, ports, "access", "secret", ("quarantine", "clean"), 64)
        supervisor.start(redis, store)
        variables = complete(Wishes({}), _settings(folder, redis) | store.settings())
        supervisor.run([ours("lazaretto"), "migrate"], variables, folder / "migrate.log")
        api = _Api(LOOPBACK, ports["api"], variables)
        supervisor.start(api)
        yield api.url


def _settings(folder: Path, redis: Redis) -> dict[str, str]:
    return {
        "LAZARETTO_HOME": str(folder),
        "LAZARETTO_DATABASE_URL": f"sqlite:///{folder / 'lazaretto.db'}",
        "LAZARETTO_REDIS_URL": redis.url,
        "LAZARETTO_CLAMD": "unix:///nowhere",
        "LAZARETTO_BOOTSTRAP_API_KEY": _KEY,
    }
