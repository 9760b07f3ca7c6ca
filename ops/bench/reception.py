"""An API with its servers and no worker, so that nothing but the intake of files is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx

from ops.bench import installation
from ops.bench.clients import Clients
from ops.embedded import s3_server
from ops.embedded.application import Api
from ops.embedded.configuration import Wishes, complete
from ops.embedded.ports import LOOPBACK, choose
from ops.embedded.programs import ours
from ops.embedded.redis_server import Redis
from ops.embedded.s3_server import Seaweed
from ops.embedded.supervisor import Supervisor

KEY = "benchmark"
BUCKET = "quarantine"
_BUCKETS = (BUCKET, "clean")


class _Api(Api):
    """Ready as soon as it takes uploads in: nobody scans here."""

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


@dataclass(frozen=True)
class Reception:
    """Where it is, and what leads to its servers."""

    folder: Path
    url: str
    variables: Mapping[str, str]
    supervisor: Supervisor  # for whatever else is to run beside it

    def clients(self, number: int) -> Clients:
        """So many, who upload at the same time."""
        return Clients(self.url, KEY, number)

    def empty(self) -> None:
        """Delete what was uploaded."""
        bucket = boto3.session.Session(
            self.variables["AWS_ACCESS_KEY_ID"], self.variables["AWS_SECRET_ACCESS_KEY"], region_name=s3_server.REGION
        ).resource("s3", endpoint_url=self.variables["AWS_ENDPOINT_URL_S3"])
        bucket.Bucket(BUCKET).objects.all().delete()
        bucket.meta.client.close()


@contextmanager
def running() -> Iterator[Reception]:
    """Ready, and stopped and deleted afterwards."""
    with ExitStack() as stack:
        folder = stack.enter_context(installation.folder())
        supervisor = stack.enter_context(Supervisor(folder / "logs", print))
        ports = choose(["redis", "api", *s3_server.PORTS])
        redis = Redis(folder / "redis", ports["redis"], "password")
        store = Seaweed(folder / "s3", folder, ports, "access", "secret", _BUCKETS)
        supervisor.start(redis, store)
        variables = complete(Wishes({}), _settings(folder, redis) | store.settings())
        supervisor.run([ours("lazaretto"), "migrate"], variables, folder / "migrate.log")
        api = _Api(LOOPBACK, ports["api"], variables)
        supervisor.start(api)
        yield Reception(folder, api.url, variables, supervisor)


def _settings(folder: Path, redis: Redis) -> dict[str, str]:
    return {
        "LAZARETTO_HOME": str(folder),
        "LAZARETTO_DATABASE_URL": f"sqlite:///{folder / 'lazaretto.db'}",
        "LAZARETTO_REDIS_URL": redis.url,
        "LAZARETTO_CLAMD": "unix:///nowhere",
        "LAZARETTO_MAX_WAITING": "0",  # all of them do
        "LAZARETTO_BOOTSTRAP_API_KEY": KEY,
    }
