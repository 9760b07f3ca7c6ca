"""Real servers for the whole suite, each started when the first test asks for it, all stopped at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
from tests.stack import Stack

_SMALL_VOLUMES = 32  # MiB; tests make hundreds of buckets, and each takes volumes of the disk's room


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
def stack(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path) -> Iterator[Stack]:
    """What `make run` starts, without the samples."""
    with Stack.started(tmp_path_factory.mktemp("stack"), development_signatures) as running:
        yield running
