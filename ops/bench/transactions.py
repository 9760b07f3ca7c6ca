"""What the transactions of one scan cost the process that makes them, over the same SQL on the bare driver."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from ops.bench.row import Better, Row
from ops.embedded import postgres_server
from ops.embedded.accounts import confined
from ops.embedded.ports import choose
from ops.embedded.postgres_server import Postgres
from ops.embedded.supervisor import Supervisor
from worker import clock, migrations, services
from worker.scan import Cause, Mover, Promoted, Scan, ScannerInfo, Status, Verdict
from worker.store import claims, scans
from worker.store.database import Database
from worker.store.rows import verdict_values

_ROUNDS = 200  # each in turn with its floor, so that both meet the same machine
_WARM_UP = 30
_TARGET = 4.0  # times the floor
_SERVICE = "default"
_LEASE = timedelta(seconds=30)
_Statement = tuple[str, Any]  # with its parameters


def rows(share: float = 1.0) -> Iterator[Row]:
    """On each database, medians in microseconds of processor time for one clean file: five writes and a read."""
    for kind, database in _databases():
        pairs = _pairs(database, max(1, round(share * _ROUNDS)))
        value, floor = (statistics.median(costs) * 1e6 for costs in zip(*pairs, strict=True))
        yield Row(f"transactions of a scan on {kind}", value, "µs", floor, Better.LOWER, _TARGET)


def _pairs(database: Database, rounds: int) -> list[tuple[float, float]]:
    """Seconds, through the store and bare."""
    with _recorded(database) as statements:
        of = _scan(database)
    bare = _Bare(database, statements, of)
    return [(_cost(lambda: _scan(database)), _cost(bare.replay)) for _ in range(_WARM_UP + rounds)][_WARM_UP:]


def _cost(work: Callable[[], object]) -> float:
    """Seconds of this process's time, whatever others do meanwhile."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _scan(database: Database) -> str:
    """What the API and a worker write of one file, and the read of a client that asks; the scan's id."""
    scan = _new()
    with database.write() as connection:
        scans.add(connection, scan, Cause(Mover.SERVICE, "upload begun", _SERVICE))
    content = {"size": 20_480, "sha256": "0" * 64, "etag": '"' + "0" * 32 + '"', "metadata": {"order": 1}}
    with database.write() as connection:
        cause = Cause(Mover.INTAKE, "20480 bytes are in quarantine")
        values = content | {"enqueued_at": clock.now(), "lease_until": None, "tidy_at": None}
        scans.move(connection, scan.id, Status.RECEIVING, Status.QUEUED, cause, **values)
    with database.write() as connection:
        claimed = claims.take(connection, scan.id, Cause(Mover.WORKER, "claimed", "worker"), clock.now() + _LEASE)
    if claimed is None:
        raise RuntimeError("a scan that waits was not to be had")
    passed = Cause(Mover.WORKER, "clean: passed every check", "worker")
    with database.write() as connection:
        values = verdict_values(_verdict(scan)) | {"policy": "0" * 64, "error": None, "setbacks": 0}
        settling = claims.move(connection, claimed, Status.SETTLING, passed, **values)
    with database.write() as connection:
        claims.move(connection, settling, Status.CLEAN, passed, quarantine_key=None, error=None, setbacks=0)
    with database.read() as connection:
        scans.get(connection, scan.id)
    return scan.id


def _new() -> Scan:
    scan_id = clock.new_id()
    moment = clock.moment_of(scan_id)
    name, kind, lease = "report.pdf", "application/pdf", clock.now() + _LEASE
    return Scan(
        scan_id, _SERVICE, Status.RECEIVING, name, kind, moment, moment, quarantine_key=scan_id, lease_until=lease
    )


def _verdict(scan: Scan) -> Verdict:
    scanner = ScannerInfo("ClamAV 1.4.3", "27800", clock.now())
    promoted = Promoted("clean", f"{_SERVICE}/{scan.id}/1", 20_480, "0" * 64, "application/pdf")
    return Verdict(Status.CLEAN, (), (), "application/pdf", scanner, promoted)


@contextmanager
def _recorded(database: Database) -> Iterator[list[_Statement]]:
    """What reaches the driver inside the block."""
    found: list[_Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: object) -> None:
        found.append((statement, parameters))

    def end(_connection: Any) -> None:
        found.append(("", None))

    listeners = (("before_cursor_execute", note), ("commit", end), ("rollback", end))
    for name, listener in listeners:
        event.listen(database.engine, name, listener)
    yield found
    for name, listener in listeners:
        event.remove(database.engine, name, listener)


class _Bare:
    """The same statements on a connection of the driver alone, each time for another scan."""

    def __init__(self, database: Database, statements: list[_Statement], of: str) -> None:
        """`of`: the id of the scan that the statements were recorded for."""
        self._statements, self._of = statements, of
        driver: Any = database.engine.raw_connection().driver_connection
        self._connection, self._cursor = driver, driver.cursor()

    def replay(self) -> None:
        another = clock.new_id()
        for statement, parameters in self._statements:
            if not statement:
                self._connection.commit()
                continue
            self._cursor.execute(statement, self._for(another, parameters))
            if self._cursor.description:
                self._cursor.fetchall()

    def _for(self, another: str, parameters: Any) -> Any:
        if isinstance(parameters, dict):
            return {name: another if value == self._of else value for name, value in parameters.items()}
        return tuple(another if value == self._of else value for value in parameters)


def _databases() -> Iterator[tuple[str, Database]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lazaretto-bench-", dir="/var/tmp")))
        folder.chmod(0o711)  # PostgreSQL runs as an account of its own
        supervisor = stack.enter_context(Supervisor(folder / "logs", print))
        port = choose(["postgresql"])["postgresql"]
        server = Postgres(folder / "postgresql", port, confined(postgres_server.ACCOUNT))
        supervisor.start(server)
        for kind, url in (("SQLite", f"sqlite:///{folder / 'lazaretto.db'}"), ("PostgreSQL", server.url)):
            database = Database(url)
            stack.callback(database.close)
            migrations.upgrade(database)
            services.ensure_bootstrap_key(database, "benchmark")
            yield kind, database


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name}: {row.value:.0f} {row.unit}, floor {row.floor:.0f}, ratio {row.ratio:.2f}")
