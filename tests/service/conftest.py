"""A system of its own for each test, on shared servers: its database, its buckets, its Redis database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
from pydantic import SecretStr

from tests.calendar import Calendar
from tests.kept import KeptSandbox, SQLiteTemplate
from tests.server import Server
from tests.system import System
from worker import metrics
from worker.adapters.object_store import ObjectStore
from worker.settings import Settings


@pytest.fixture(scope="session")
def objects(s3: dict[str, str]) -> ObjectStore:
    """One client for all tests: making one takes boto3 a quarter of a second."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3.items():
            environment.setenv(name, value)
        return ObjectStore(connect_timeout=2, timeout=10)


@pytest.fixture(scope="session")
def kept_sandbox() -> Iterator[KeptSandbox]:
    """One for all systems: starting one takes a quarter of a second of the processor."""
    usual = Settings(_env_file=None)
    made = KeptSandbox(
        memory=usual.sandbox_memory,
        seconds=usual.sandbox_seconds,
        output=usual.sandbox_output,
        on_kill=metrics.sandbox_killed,
    )
    yield made
    made.end()


@pytest.fixture
def settings(
    database_url: str, buckets: tuple[str, str], redis_url: str, clamd_address: str, tmp_path: Path
) -> Settings:
    """Settings of a system that shares nothing with another test's."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return Settings(
        _env_file=None,
        home=tmp_path,
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        quarantine_bucket=buckets[0],
        clean_bucket=buckets[1],
        clamd=(clamd_address,),
        scratch_dir=tmp_path,
        memory_limit=1024 * 1024,
    )


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    """Time that passes when the test says so, for everybody in this process."""
    return Calendar(monkeypatch)


@pytest.fixture
def system(settings: Settings, objects: ObjectStore, kept_sandbox: KeptSandbox) -> Iterator[System]:
    """Intake, worker and sweeper in this process."""
    made = System.start(settings, objects, kept_sandbox)
    yield made
    made.close()


@pytest.fixture(scope="module")
def lasting(
    s3: dict[str, str],
    bucket_names: tuple[str, str],
    redis_url: str,
    clamd_address: str,
    objects: ObjectStore,
    kept_sandbox: KeptSandbox,
    sqlite_template: SQLiteTemplate,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """The same on SQLite, for all tests of a module: for those that mind nothing that another has left there."""
    home = tmp_path_factory.mktemp("lasting")
    settings = Settings(
        _env_file=None,
        home=home,
        database_url=SecretStr(sqlite_template.copied(home / "lazaretto.db")),
        redis_url=SecretStr(redis_url),
        quarantine_bucket=bucket_names[0],
        clean_bucket=bucket_names[1],
        clamd=(clamd_address,),
        scratch_dir=home,
    )
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3.items():
            environment.setenv(name, value)
        made = System.start(settings, objects, kept_sandbox)
        yield made
        made.close()


@pytest.fixture
def server(system: System) -> Iterator[Server]:
    """Its API, on a socket."""
    with Server(system.settings) as running:
        yield running


@pytest.fixture
def operator(server: Server) -> Iterator[httpx.Client]:
    """Whoever has a key with every scope."""
    with server.client() as client:
        yield client


def _as_root(*command: str) -> None:
    subprocess.run([*(["sudo", "-n"] if os.geteuid() else []), *command], check=True)


@pytest.fixture(params=[4])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A disk of so many MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    _as_root("mount", "-t", "tmpfs", "-o", f"size={request.param}m,mode=1777", "tmpfs", str(folder))
    yield folder
    _as_root("umount", str(folder))
