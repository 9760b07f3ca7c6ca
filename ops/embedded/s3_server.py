"""SeaweedFS as the S3 of an embedded stack: master, volume server, filer and S3 gateway in one process."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.embedded.accounts import private_file, private_folder
from ops.embedded.ports import LOOPBACK
from ops.embedded.programs import ours
from ops.embedded.service import Service

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REGION = "us-east-1"
PORTS = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
_PROBE = ".lazaretto-probe"


@dataclass
class Seaweed(Service):
    """`weed server`, with its data in `directory`, its sockets in `sockets` (short paths) and these buckets."""

    directory: Path
    sockets: Path
    ports: Mapping[str, int]  # one for each name in PORTS
    access_key: str
    secret_key: str = field(repr=False)
    buckets: tuple[str, ...]
    volume_mebibytes: int = 512  # every bucket takes two volumes at least
    name: str = "seaweedfs"
    ready_seconds: float = 60
    # Its own orderly stop waits 15 s for its own subscribers; it keeps nothing in memory that a kill would lose.
    stop_seconds: float = 1
    _signing: Mapping[str, str] = field(init=False, repr=False, default_factory=lambda: _signing_keys())

    @property
    def endpoint(self) -> str:
        """Where S3 clients find it."""
        return f"http://{LOOPBACK}:{self.ports['s3']}"

    def settings(self) -> dict[str, str]:
        """What boto3 and every other AWS client read from the environment."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
        }

    def prepare(self) -> None:
        private_folder(self.directory)
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        identity = {"name": "lazaretto", "credentials": credentials, "actions": _ACTIONS}
        private_file(self._identities, json.dumps({"identities": [identity]}))

    def command(self) -> list[str]:
        switches = {
            "dir": self.directory,
            "ip": LOOPBACK,
            "ip.bind": LOOPBACK,
            "master.telemetry": "false",  # it reports usage to its makers unless told not to
            "master.electionTimeout": "1s",  # it elects itself alone; the default makes a restart take 18 s
            "master.volumeSizeLimitMB": self.volume_mebibytes,
            "volume.max": 0,  # as many volumes as the disk has room for
            "volume.preStopSeconds": 0,
            "filer": "true",
            "filer.localSocket": self.sockets / "filer.sock",
            "s3": "true",
            "s3.localSocket": self.sockets / "s3.sock",
            "s3.config": self._identities,  # with an identity configured, anonymous requests are refused
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **{_switch(name): self.ports[name] for name in PORTS},
        }
        return [ours("weed"), "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in switches.items())]

    def environment(self) -> Mapping[str, str]:
        # HOME: weed would read the operator's own ~/.seaweedfs. Growth: the default makes seven volumes per bucket
        # at the first write, which takes five seconds.
        return {"HOME": str(self.directory), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2", **self._signing}

    def folder(self) -> Path:
        return self.directory

    def ready(self) -> bool:
        """Can every bucket be written, read and emptied? It listens, and fails reads, before that."""
        client = self._client()
        try:
            return all(self._usable(client, bucket) for bucket in self.buckets)
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()

    def clear(self) -> None:
        for name in ("master", "volume", "filer", "s3"):  # there is no switch for these
            Path(f"/tmp/seaweedfs-{name}-grpc-{self.ports[name + '.grpc']}.sock").unlink(missing_ok=True)  # noqa: S108

    def _usable(self, client: S3Client, bucket: str) -> bool:
        if bucket not in {each.get("Name") for each in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key=_PROBE, Body=_PROBE.encode())
        same = client.get_object(Bucket=bucket, Key=_PROBE)["Body"].read() == _PROBE.encode()
        client.delete_object(Bucket=bucket, Key=_PROBE)
        return same

    def _client(self) -> S3Client:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(connect_timeout=1, read_timeout=10, retries={"total_max_attempts": 1}),
        )

    @property
    def _identities(self) -> Path:
        return self.directory / "identities.json"


def _switch(name: str) -> str:
    """The name of the switch for a port: `s3` → `s3.port`, `s3.grpc` → `s3.port.grpc`."""
    server, _, protocol = name.partition(".")
    return f"{server}.port.{protocol}" if protocol else f"{server}.port"


def _signing_keys() -> dict[str, str]:
    """Keys by which its parts know each other: without them, anybody on loopback could go around the S3 gateway."""
    parts = ("SIGNING_KEY", "SIGNING_READ_KEY", "FILER_SIGNING_KEY", "FILER_SIGNING_READ_KEY")
    return {f"WEED_JWT_{part}": secrets.token_hex(32) for part in parts}
