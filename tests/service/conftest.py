"""A system of its own for each test, on shared servers: its database, its buckets, its Redis database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import psycopg
import pytest
import redis
from pydantic import SecretStr

from tests.system import System
from worker.settings import Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lazaretto.db'}"
    server: str = request.getfixturevalue("postgres_url")
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return server.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def buckets(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Quarantine and clean; the environment leads boto3 to them."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    made = (f"quarantine-{uuid4().hex}", f"clean-{uuid4().hex}")
    client = boto3.client("s3")
    for bucket in made:
        client.create_bucket(Bucket=bucket)
    client.close()
    return made


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
def system(settings: Settings) -> Iterator[System]:
    """Intake, worker and sweeper in this process."""
    made = System.start(settings)
    yield made
    made.close()
