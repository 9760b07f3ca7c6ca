"""A system of its own for each test, on shared servers: its database, its buckets, its Redis database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import psycopg
import pytest
import redis
from pydantic import SecretStr

from tests.system import System
from worker.adapters.object_store import ObjectStore
from worker.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


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


@pytest.fixture(scope="session")
def bucket_names(s3: dict[str, str]) -> tuple[str, str]:
    """Quarantine and clean, for all tests in turn: a new bucket costs a store more than emptying one."""
    names = ("test-quarantine", "test-clean")
    with store_of(s3) as client:
        for bucket in names:
            client.create_bucket(Bucket=bucket)
    return names


@pytest.fixture
def buckets(
    s3: dict[str, str], bucket_names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """Quarantine and clean, empty; the environment leads boto3 to them."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    yield bucket_names
    with store_of(s3) as client:
        for bucket in bucket_names:
            for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
                client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
                client.delete_object(Bucket=bucket, Key=item["Key"])


@contextmanager
def store_of(s3: dict[str, str]) -> Iterator[S3Client]:
    """A client of the suite's own, whatever a test does to the environment."""
    client = boto3.client(
        "s3",
        endpoint_url=s3["AWS_ENDPOINT_URL_S3"],
        region_name=s3["AWS_REGION"],
        aws_access_key_id=s3["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=s3["AWS_SECRET_ACCESS_KEY"],
    )
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="session")
def objects(s3: dict[str, str]) -> ObjectStore:
    """One client for all tests: making one takes boto3 a quarter of a second."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3.items():
            environment.setenv(name, value)
        return ObjectStore(connect_timeout=2, timeout=10)


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
def system(settings: Settings, objects: ObjectStore) -> Iterator[System]:
    """Intake, worker and sweeper in this process."""
    made = System.start(settings, objects)
    yield made
    made.close()
