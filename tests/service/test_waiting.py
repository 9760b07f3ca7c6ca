"""Five hundred clients that wait for their scans on one API process: all are answered, and they hold nothing."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.parts import STORE_THREADS, THREADS
from ops.embedded.ports import LOOPBACK, choose
from ops.embedded.programs import ours
from tests import processes
from tests.stack import until
from tests.system import KEY, System

CLIENTS, SCANS = 500, 25
PATIENCE = 30  # seconds
POOL = 15  # connections of a process at most; SQLite's stay open for a while after they are closed


class Api:
    """The API in a process of its own, as the embedded stack starts it."""

    def __init__(self, system: System) -> None:
        self.port = choose(["api"])["api"]
        settings = system.settings
        variables = {
            "LAZARETTO_DATABASE_URL": settings.database_url.get_secret_value(),
            "LAZARETTO_REDIS_URL": settings.redis_url.get_secret_value(),
            "LAZARETTO_QUARANTINE_BUCKET": settings.quarantine_bucket,
            "LAZARETTO_CLEAN_BUCKET": settings.clean_bucket,
        }
        command = [ours("uvicorn"), "api.app:create_app", "--factory", "--port", str(self.port), "--no-access-log"]
        self._process = subprocess.Popen(
            [*command, "--loop", "uvloop", "--http", "httptools"],
            env=os.environ | variables,
            stdout=sys.stderr,
        )
        self.pid = self._process.pid
        self.http = httpx.Client(
            base_url=f"http://{LOOPBACK}:{self.port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE
        )

    @classmethod
    @contextmanager
    def running(cls, system: System) -> Iterator[Api]:
        api = cls(system)
        try:
            until(api._answers, PATIENCE, "the API")
            yield api
        finally:
            api.http.close()
            api._process.terminate()
            api._process.wait(PATIENCE)

    def _answers(self) -> bool:
        try:
            return self.http.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def upload(self) -> str:
        return str(self.http.put("/v1/uploads/a.txt", content=b"hello").raise_for_status().json()["id"])

    @contextmanager
    def waited_for(self, scans: list[str]) -> Iterator[list[socket.socket]]:
        """A connection for each client, all of which wait."""
        before = self._sockets()
        with ExitStack() as stack:
            clients = []
            for number in range(CLIENTS):
                client = socket.create_connection((LOOPBACK, self.port))
                clients.append(stack.enter_context(closing(client)))
                head = f"GET /v1/scans/{scans[number % len(scans)]}?wait=60 HTTP/1.1\r\nHost: localhost\r\n"
                client.sendall(f"{head}Authorization: Bearer {KEY}\r\n\r\n".encode())
            until(lambda: self._sockets() >= before + CLIENTS, PATIENCE, "all are connected")
            time.sleep(1)  # all have been read; were one answered, the next line would say so
            assert select.select(clients, [], [], 0)[0] == []
            yield clients

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def _sockets(self) -> int:
        return sum(name.startswith("socket:") for name in processes.descriptors(self.pid))


def _answer(client: socket.socket) -> tuple[int, str | None, dict[str, Any]]:
    client.settimeout(PATIENCE)
    answer = HTTPResponse(client)
    answer.begin()
    return answer.status, answer.headers["Connection"], json.loads(answer.read())


def _connections(system: System, api: Api) -> int:
    """To the database, from this process; on PostgreSQL from all of the test."""
    url = system.database.engine.url
    if url.get_backend_name() == "sqlite":
        return processes.descriptors(api.pid).count(str(url.database))
    system.database.engine.dispose()
    with psycopg.connect(system.settings.database_url.get_secret_value()) as connection:
        own = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        row = connection.execute(own).fetchone()
    assert row is not None
    return int(row[0])


def test_whoever_waits_holds_no_thread_and_no_connection_and_slows_nobody(system: System) -> None:
    with Api.running(system) as api:
        scans = [api.upload() for _ in range(SCANS)]
        with api.waited_for(scans) as clients:
            assert api.threads() <= THREADS + STORE_THREADS
            assert 1 <= _connections(system, api) <= POOL
            begun = time.monotonic()
            other = api.upload()
            assert time.monotonic() - begun < 1
            begun = time.monotonic()
            for scan in scans:
                assert api.http.delete(f"/v1/scans/{scan}").status_code == 204
            answers = [_answer(client) for client in clients]
            assert time.monotonic() - begun < PATIENCE / 2
        assert {(status, scan["status"]) for status, _, scan in answers} == {(200, "erased")}
        assert [scan["id"] for _, _, scan in answers] == [scans[number % SCANS] for number in range(CLIENTS)]
        assert api.http.get(f"/v1/scans/{other}").json()["status"] == "queued"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_all_are_answered_when_the_api_stops(system: System) -> None:
    with Api.running(system) as api:
        scans = [api.upload() for _ in range(SCANS)]
        with api.waited_for(scans) as clients:
            os.kill(api.pid, signal.SIGTERM)
            answers = [_answer(client) for client in clients]
        assert {(status, last, scan["status"]) for status, last, scan in answers} == {(200, "close", "queued")}
        until(lambda: not processes.alive(api.pid), PATIENCE, "its end")
