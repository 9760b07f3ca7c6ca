"""A whole installation of a test's own, each of whose processes can be killed: servers, API, worker, sweeper."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import select

from ops.embedded import clamd_server, postgres_server, s3_server
from ops.embedded.accounts import confined
from ops.embedded.application import Api, Part, worker
from ops.embedded.clamd_server import Clamd
from ops.embedded.configuration import Wishes, complete
from ops.embedded.ports import LOOPBACK, choose
from ops.embedded.postgres_server import Postgres
from ops.embedded.programs import ours
from ops.embedded.redis_server import Redis
from ops.embedded.s3_server import Seaweed
from ops.embedded.service import Service
from ops.embedded.signatures import within_reach
from ops.embedded.supervisor import Supervisor
from tests import processes
from worker.adapters.object_store import ObjectStore
from worker.scan import Status
from worker.settings import Settings
from worker.store.database import Database
from worker.store.tables import scans

KEY = "a-key-for-the-test-with-every-scope"
BUCKETS = ("quarantine", "clean")
_PAUSES = {"first_pause": 0.2, "longest_pause": 1.0}  # seconds before what was killed comes back


class Site:
    """Started by `running`; `variables` is the environment of its processes."""

    PARTS: ClassVar[Mapping[str, tuple[str, str]]] = {  # whose descendants, and what is in their command lines
        "worker process": ("worker", "celery"),
        "sandbox": ("worker", "worker.sandbox"),
    }

    def __init__(self, supervisor: Supervisor, variables: dict[str, str], objects: ObjectStore) -> None:
        self.variables, self.objects = variables, objects
        fields: dict[str, Any] = {name.removeprefix("LAZARETTO_").lower(): each for name, each in variables.items()}
        self.settings = Settings(_env_file=None, **fields)
        self.database = Database(variables["LAZARETTO_DATABASE_URL"])
        self._supervisor = supervisor

    @classmethod
    @contextmanager
    def running(
        cls, folder: Path, signatures: Path, *, postgresql: bool, workers: int, **settings: str
    ) -> Iterator[Site]:
        """A site in `folder`, whose path must be short and open to every account; ready, and stopped afterwards."""
        with Supervisor(folder / "logs", lambda _line: None, **_PAUSES) as supervisor:
            servers, variables = _servers(folder, signatures, postgresql=postgresql)
            supervisor.start(*servers)
            api = Api(LOOPBACK, choose(["api"])["api"], variables := complete(Wishes(settings), variables))
            assert supervisor.run([ours("lazaretto"), "migrate"], variables, folder / "migrate.log") == 0
            sweeper = Part("sweeper", ["lazaretto", "sweep", "--every", "1s"], variables)
            supervisor.start(api, worker(workers, variables), sweeper)
            keeper = threading.Thread(target=supervisor.watch, name="supervisor")
            keeper.start()
            site = cls(supervisor, variables, _store(variables))
            site.url = api.url
            try:
                yield site
            finally:
                site.database.close()
                supervisor.interrupt()
                keeper.join()

    url: str

    @property
    def lease_seconds(self) -> float:
        return self.settings.lease_seconds

    def pid(self, name: str) -> int | None:
        """The main process of a service."""
        return self._supervisor.pid(name)

    def processes(self, part: str) -> set[int]:
        """The processes of one of `PARTS`; a service's main process is none of them."""
        service, command = self.PARTS[part]
        main = self.pid(service)
        family = processes.family(main) - {main} if main else set()
        return {pid for pid in family if command in processes.command(pid)}

    def ids(self, statuses: Iterable[Status]) -> list[str]:
        """The scans in one of these statuses."""
        wanted = [status.value for status in statuses]
        with self.database.read() as connection:
            return list(connection.execute(select(scans.c.id).where(scans.c.status.in_(wanted))).scalars())

    def untidy(self) -> int:
        """How many ended scans the sweeper will look at once more."""
        with self.database.read() as connection:
            return len(connection.execute(select(scans.c.id).where(scans.c.tidy_at.is_not(None))).all())


def _servers(folder: Path, signatures: Path, *, postgresql: bool) -> tuple[list[Service], dict[str, str]]:
    ports = choose(["redis", "postgresql", *s3_server.PORTS])
    redis = Redis(folder / "redis", ports["redis"], "password")
    store = Seaweed(folder / "s3", folder, ports, "access", "secret", BUCKETS, 64)
    account = confined(clamd_server.ACCOUNT)
    clamd = Clamd(folder / "clamd", within_reach(signatures, account, folder / "signatures"), account=account)
    servers: list[Service] = [redis, store, clamd]
    database = f"sqlite:///{folder / 'lazaretto.db'}"
    if postgresql:
        postgres = Postgres(folder / "postgresql", ports["postgresql"], confined(postgres_server.ACCOUNT))
        servers.append(postgres)
        database = postgres.url
    return servers, {
        "LAZARETTO_HOME": str(folder),
        "LAZARETTO_DATABASE_URL": database,
        "LAZARETTO_REDIS_URL": redis.url,
        "LAZARETTO_CLAMD": clamd.address,
        "LAZARETTO_BOOTSTRAP_API_KEY": KEY,
        **store.settings(),
    }


def _store(variables: Mapping[str, str]) -> ObjectStore:
    """A client of the test's own: boto3 reads the environment."""
    before = {name: os.environ.get(name) for name in variables if name.startswith("AWS_")}
    os.environ.update({name: variables[name] for name in before})
    try:
        return ObjectStore(connect_timeout=2, timeout=10)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
