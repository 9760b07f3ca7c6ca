"""Real servers for the whole suite, each started when the first test asks for it, all stopped at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from ops.embedded import clamd_server, postgres_server, s3_server
from ops.embedded.accounts import confined
from ops.embedded.clamd_server import Clamd
from ops.embedded.ports import choose
from ops.embedded.postgres_server import Postgres
from ops.embedded.redis_server import Redis
from ops.embedded.s3_server import Seaweed
from ops.embedded.signatures import within_reach, write_development_set
from ops.embedded.supervisor import Supervisor
from tests.kept import PostgresTemplate, SQLiteTemplate
from tests.stack import Stack

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_SMALL_VOLUMES = 32  # MiB; tests make hundreds of buckets, and each takes volumes of the disk's room


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="the fault suite in its long form")
    parser.addoption("--fuzz", default=0, type=int, help="so many times as many broken files, others each time")
    parser.addoption("--api", default=0, type=int, help="try the API for so many seconds, in other ways each time")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Short enough for sockets, and open to the accounts that servers run as; pytest's own folders are neither."""
    folder = Path(tempfile.mkdtemp(prefix="lazaretto-tests-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def servers(server_folder: Path) -> Iterator[Supervisor]:
    """Whatever was started on it ends with the suite."""
    with Supervisor(server_folder / "logs", say=print) as supervisor:
        yield supervisor


@pytest.fixture(scope="session")
def redis_url(servers: Supervisor, server_folder: Path) -> str:
    """A Redis with a password."""
    redis = Redis(server_folder / "redis", choose(["redis"])["redis"], "test-password")
    servers.start(redis)
    return redis.url


@pytest.fixture(scope="session")
def s3(servers: Supervisor, server_folder: Path) -> dict[str, str]:
    """An S3 server: the variables that lead boto3 to it. Tests make their own buckets."""
    ports = choose(s3_server.PORTS)
    store = Seaweed(server_folder / "s3", server_folder, ports, "test-access", "test-secret", ("warm",), _SMALL_VOLUMES)
    servers.start(store)
    return store.settings()


@pytest.fixture(scope="session")
def development_signatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What clamd knows in these tests, also where the official signatures are to be had."""
    return write_development_set(tmp_path_factory.mktemp("signatures"))


@pytest.fixture(scope="session")
def clamd(servers: Supervisor, server_folder: Path, development_signatures: Path) -> Clamd:
    """A scanner on a unix socket and on TCP."""
    account = confined(clamd_server.ACCOUNT)
    signatures = within_reach(development_signatures, account, server_folder / "signatures")
    scanner = Clamd(server_folder / "clamd", signatures, choose(["clamd"])["clamd"], account)
    servers.start(scanner)
    return scanner


@pytest.fixture(scope="session")
def clamd_address(clamd: Clamd) -> str:
    """The scanner's unix socket."""
    return clamd.address


@pytest.fixture(scope="session")
def clamd_tcp_address(clamd: Clamd) -> str:
    """The same scanner, as over a network."""
    return clamd.tcp_address


@pytest.fixture(scope="session")
def postgres_url(servers: Supervisor, server_folder: Path) -> str:
    """A PostgreSQL whose role may create databases."""
    port = choose(["postgresql"])["postgresql"]
    postgres = Postgres(server_folder / "postgresql", port, confined(postgres_server.ACCOUNT))
    servers.start(postgres)
    return postgres.url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SQLiteTemplate:
    return SQLiteTemplate(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> PostgresTemplate:
    return PostgresTemplate(postgres_url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with its tables and nothing in them: of each kind in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_template").copied(tmp_path / "lazaretto.db")
        return
    template: PostgresTemplate = request.getfixturevalue("postgres_template")
    url = template.copied()
    yield url
    template.drop(url)


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
def stack(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Stack]:
    """What `make run` starts, without the samples."""
    with Stack.started(tmp_path_factory.mktemp("stack"), development_signatures) as running:
        yield running
