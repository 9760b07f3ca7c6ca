"""A whole installation of a test's own, each of whose processes can be killed: servers, API, worker, sweeper."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
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
from tests.clamd_proxy import ClamdProxy
from tests.stack import until
from worker.adapters.object_store import ObjectStore
from worker.lanes import Lane
from worker.scan import Status
from worker.settings import Settings
from worker.store.database import Database
from worker.store.tables import scans

KEY = "a-key-for-the-test-with-every-scope"
BUCKETS = ("quarantine", "clean")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 1.0  # seconds before what was killed comes back


class _Api(Api):
    """Ready as soon as it takes uploads in, with whatever else there is."""

    def ready(self) -> bool:
        return takes_uploads(self.url)


def takes_uploads(url: str) -> bool:
    """Do the database and the object store answer to the API at this address?"""
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


class _Supervisor(Supervisor):
    """Brings back whatever dies, but for what is to stay away."""

    def __init__(self, logs: Path) -> None:
        super().__init__(logs, lambda _line: None, first_pause=_FIRST_PAUSE, longest_pause=_LONGEST_PAUSE)
        self.away: set[str] = set()

    def _restart(self, child: Any) -> None:
        if child.name not in self.away:
            super()._restart(child)


class Site:
    """Started by `running`; `variables` is the environment of its processes, `url` where its API is."""

    PARTS: ClassVar[Mapping[str, tuple[str, str]]] = {  # whose descendants, and what is in their command lines
        "worker process": ("worker", "celery"),
        "sandbox": ("worker", "worker.sandbox"),
    }

    def __init__(self, supervisor: _Supervisor, variables: dict[str, str], url: str) -> None:
        self.variables, self.url = variables, url
        fields: dict[str, Any] = {name.removeprefix("LAZARETTO_").lower(): each for name, each in variables.items()}
        self.settings = Settings(_env_file=None, **fields)
        self.objects = _store(variables)
        self.database = Database(variables["LAZARETTO_DATABASE_URL"])
        self._supervisor = supervisor

    @classmethod
    @contextmanager
    def running(
        cls,
        folder: Path,
        signatures: Path,
        settings: Mapping[str, str],
        *,
        workers: int,
        postgresql: bool = False,
        fatal: bool = False,
    ) -> Iterator[Site]:
        """A site in `folder`, whose path must be short and open to every account; ready, and stopped afterwards.

        `workers`: processes of the one worker. `fatal`: some files are fatal to its scanner.
        """
        with ExitStack() as stack:
            supervisor = stack.enter_context(_Supervisor(folder / "logs"))
            servers, variables = _servers(folder, signatures, postgresql=postgresql)
            supervisor.start(*servers.values())
            if fatal:
                proxy = stack.enter_context(ClamdProxy.running(variables["CLAMD_TCP"]))
                variables["LAZARETTO_CLAMD"] = proxy.address
            variables = complete(Wishes(settings), variables)
            assert supervisor.run([ours("lazaretto"), "migrate"], variables, folder / "migrate.log") == 0
            api = _Api(LOOPBACK, choose(["api"])["api"], variables)
            site = cls(supervisor, variables, api.url)
            stack.callback(site.database.close)
            sweeper = Part("sweeper", ["lazaretto", "sweep", "--every", "1s"], variables)
            supervisor.start(api, worker(workers, variables, lanes=Lane), sweeper)
            stack.enter_context(_kept(supervisor))
            yield site

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Without this server, for the length of the block."""
        self._supervisor.away.add(name)
        pid = self.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: not processes.alive(pid), 10, f"the end of {name}")
        yield
        self._supervisor.away.discard(name)

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


@contextmanager
def _kept(supervisor: Supervisor) -> Iterator[None]:
    """Looked after by a thread."""
    keeper = threading.Thread(target=supervisor.watch, name="supervisor")
    keeper.start()
    try:
        yield
    finally:
        supervisor.interrupt()
        keeper.join()


def _servers(folder: Path, signatures: Path, *, postgresql: bool) -> tuple[dict[str, Service], dict[str, str]]:
    """By name; and what leads to them."""
    ports = choose(["redis", "postgresql", "clamd", *s3_server.PORTS])
    redis = Redis(folder / "redis", ports["redis"], "password")
    store = Seaweed(folder / "s3", folder, ports, "access", "secret", BUCKETS, 64)
    account = confined(clamd_server.ACCOUNT)
    known = within_reach(signatures, account, folder / "signatures")
    clamd = Clamd(folder / "clamd", known, ports["clamd"], account=account)
    servers: list[Service] = [redis, store, clamd]
    database = f"sqlite:///{folder / 'lazaretto.db'}"
    if postgresql:
        postgres = Postgres(folder / "postgresql", ports["postgresql"], confined(postgres_server.ACCOUNT))
        servers.append(postgres)
        database = postgres.url
    return {server.name: server for server in servers}, {
        "LAZARETTO_HOME": str(folder),
        "LAZARETTO_DATABASE_URL": database,
        "LAZARETTO_REDIS_URL": redis.url,
        "LAZARETTO_CLAMD": clamd.address,
        "CLAMD_TCP": clamd.tcp_address,
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
