"""Redis on loopback: the broker and the rate limits of an embedded stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import redis

from ops.embedded.accounts import private_file, private_folder
from ops.embedded.ports import LOOPBACK
from ops.embedded.programs import debian
from ops.embedded.service import Service

_CONFIGURATION = """\
bind {host}
port {port}
dir {folder}
requirepass {password}
# The queue survives a restart but for its last second; the database knows the rest.
appendonly yes
appendfsync everysec
save ""
# Tasks must not be thrown away when memory runs out: writing fails instead, and the sweeper enqueues again.
maxmemory-policy noeviction
# Keep the command line: it tells an operator which stack this is.
set-proc-title no
"""


@dataclass
class Redis(Service):
    """`redis-server`, with its data in `directory`."""

    directory: Path
    port: int
    password: str
    name: str = "redis"

    @property
    def url(self) -> str:
        """Where clients find it, the password included."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        private_folder(self.directory)
        text = _CONFIGURATION.format(
            host=LOOPBACK, port=self.port, folder=f'"{self.directory}"', password=self.password
        )
        private_file(self._configuration, text)

    def command(self) -> list[str]:
        return [debian("redis-server", "redis-server"), str(self._configuration)]

    def folder(self) -> Path:
        return self.directory

    def ready(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    @property
    def _configuration(self) -> Path:
        return self.directory / "redis.conf"
