"""Where the object store hangs, uploads hang with it, and nobody else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from api.parts import STORE_THREADS
from ops.embedded.supervisor import Supervisor
from tests.server import Server
from tests.stack import until
from tests.system import System
from worker.scan import Status

UPLOADS = 100
PATIENCE = 120.0  # seconds; the store is awake again long before


def test_scans_are_read_while_more_uploads_hang_than_there_are_threads(system: System, servers: Supervisor) -> None:
    settings = system.settings.model_copy(update={"s3_timeout": PATIENCE, "max_waiting": 0})
    with Server(settings) as server, server.client() as client, ThreadPoolExecutor(UPLOADS) as clients:
        scan = client.put("/v1/uploads/before.txt", content=b"hello").json()
        with _asleep(servers.pid("seaweedfs")):
            uploads = [clients.submit(_upload, server, number) for number in range(UPLOADS)]
            until(lambda: _receiving(system) >= STORE_THREADS, PATIENCE, "every thread to hang")
            reads = [
                client.get(f"/v1/scans/{scan['id']}"),
                client.get(f"/v1/scans/{scan['id']}", params={"wait": 0.1}),
                client.get(f"/v1/scans/{scan['id']}/events"),
                client.get("/v1/scans", params={"limit": 1}),
            ]
            assert not any(upload.done() for upload in uploads)
        assert [read.status_code for read in reads] == [200] * len(reads)
        assert [upload.result() for upload in uploads] == [202] * UPLOADS


@contextmanager
def _asleep(pid: int | None) -> Iterator[None]:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _upload(server: Server, number: int) -> int:
    with server.client() as client:
        return client.put(f"/v1/uploads/{number}.txt", content=b"hello", timeout=PATIENCE).status_code


def _receiving(system: System) -> int:
    return sum(scan.status is Status.RECEIVING for scan in system.all())
