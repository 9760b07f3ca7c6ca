"""What a worker inspects with, on this machine and for this process alone: a real clamd, and a sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.embedded import clamd_server
from ops.embedded.accounts import confined
from ops.embedded.clamd_server import Clamd
from ops.embedded.ports import choose
from ops.embedded.signatures import within_reach, write_development_set
from ops.embedded.supervisor import Supervisor
from worker import clock, migrations
from worker.adapters.object_store import ObjectStore
from worker.assembly import make_inspector, make_sandbox, make_scanners
from worker.decide import decide
from worker.inspect import Inspector
from worker.policy_file import PolicyFile
from worker.scan import Scan, Status
from worker.scratch import Scratch
from worker.settings import Settings
from worker.store.database import Database

_SERVER = b"worker.sandbox.server"  # in the command line of a fork server


class Inspection:
    """An inspector, and the rules by which it is judged."""

    def __init__(self, settings: Settings, inspector: Inspector) -> None:
        self._settings, self._inspector = settings, inspector
        self._policy = PolicyFile.load(settings.policy_file).default

    def verdict(self, data: bytes) -> Status:
        """Of an upload of which nothing is known but its bytes."""
        now = clock.now()
        scan = Scan("bench", "default", Status.SCANNING, "upload", None, now, now)
        with Scratch(len(data), memory_limit=self._settings.memory_limit, directory=None) as file:
            file.write(data)
            file.freeze()
            found = self._inspector.inspect(file, scan, self._policy)
            if found.picture is not None:
                found.picture.file.close()
            return decide(self._policy, found.findings)[0]


@contextmanager
def inspecting(folder: Path) -> Iterator[Inspection]:
    """Everything started in `folder`, whose path must be short and open to every account; and stopped afterwards."""
    account = confined(clamd_server.ACCOUNT)
    signatures = within_reach(write_development_set(folder / "development"), account, folder / "signatures")
    clamd = Clamd(folder / "clamd", signatures, choose(["clamd"])["clamd"], account)
    with Supervisor(folder / "logs", say=print) as supervisor:
        supervisor.start(clamd)
        settings = Settings(_env_file=None, clamd=(clamd.address,), scratch_dir=folder)
        database = Database(f"sqlite:///{folder / 'lazaretto.db'}")
        migrations.upgrade(database)
        policies = PolicyFile.load(settings.policy_file)
        scanners = make_scanners(settings, database, lambda: policies.largest_upload)
        sandbox = make_sandbox(settings)
        objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)  # never asked
        inspector = make_inspector(settings, objects, scanners, sandbox)
        try:
            yield Inspection(settings, inspector)
        finally:
            scanners.close()
            sandbox.close()
            database.close()


def fork_server() -> int:
    """The process that our sandbox forks its children from, once it has been asked something."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return next(int(pid) for pid in children if _SERVER in Path(f"/proc/{pid}/cmdline").read_bytes())
