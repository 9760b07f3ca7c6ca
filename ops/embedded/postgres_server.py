"""PostgreSQL for the tests: a cluster of its own, fast and forgetful."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ops.embedded.accounts import group_of, private_folder
from ops.embedded.faults import StackFault
from ops.embedded.ports import LOOPBACK
from ops.embedded.programs import debian
from ops.embedded.service import Service

ACCOUNT = "postgres"  # the server refuses to run as root
_ROLE = "lazaretto"
# Durability is what PostgreSQL is trusted for; a test's data is gone in a minute anyway. What was committed is in the
# kernel's hands, so that a killed server loses none of it.
_FORGETFUL = {"fsync": "off", "full_page_writes": "off"}


@dataclass
class Postgres(Service):
    """`postgres`, with its cluster in `directory`; everybody on this machine may connect."""

    directory: Path
    port: int
    account: str | None = None
    name: str = "postgresql"
    stop_signal: signal.Signals = signal.SIGINT  # on SIGTERM it waits for every client to leave

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"postgresql://{_ROLE}@{LOOPBACK}:{self.port}/postgres"

    def prepare(self) -> None:
        if (self.directory / "PG_VERSION").exists():
            return
        private_folder(self.directory, self.account)
        made = subprocess.run(
            [
                debian("initdb", "postgresql"),
                *("--pgdata", str(self.directory), "--username", _ROLE, "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            cwd=self.directory,
            user=self.account,
            group=group_of(self.account) if self.account else None,
            extra_groups=[] if self.account else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise StackFault(f"initdb failed: {made.stderr.strip()}")

    def command(self) -> list[str]:
        settings = {"listen_addresses": LOOPBACK, "port": self.port, "unix_socket_directories": "", **_FORGETFUL}
        switches = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [debian("postgres", "postgresql"), "-D", str(self.directory), *switches]

    def folder(self) -> Path:
        return self.directory

    def ready(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False
