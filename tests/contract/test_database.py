"""One set of queries on SQLite and PostgreSQL: the same answers, the same guarantees."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from worker import clock, migrations, services
from worker.errors import DatabaseUnavailable
from worker.pixels import Pixels
from worker.scan import Cause, Mover, Promoted, Reason, ReasonCode, Scan, ScannerInfo, Status, Verdict
from worker.services import Scope
from worker.store import events, scanners, scans, webhook_secrets
from worker.store.database import Database
from worker.store.rows import verdict_values
from worker.store.tables import metadata
from worker.store.tables import scans as rows

CAUSE = Cause(Mover.WORKER, "because", "test")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    services.ensure_bootstrap_key(made, "key")
    yield made
    made.close()


def _scan(status: Status = Status.QUEUED, **values: object) -> Scan:
    now = clock.now()
    scan = Scan(clock.new_id(), "default", status, "file.txt", None, now, now)
    return replace(scan, **values)  # type: ignore[arg-type]


def _add(database: Database, scan: Scan) -> Scan:
    with database.write() as connection:
        scans.add(connection, scan, CAUSE)
    return scan


def test_the_migrations_make_the_tables(database: Database) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert not migrations.pending(database)
    migrations.upgrade(database)


def test_migrating_down_and_up_again_works(database: Database) -> None:
    migrations.downgrade(database, "base")
    assert migrations.pending(database)
    migrations.upgrade(database)
    assert not migrations.pending(database)


def test_nobody_else_reads_a_database_of_ours(tmp_path: Path) -> None:
    """Secrets of webhooks are in it as they are; also where the folder is open to everybody."""
    tmp_path.chmod(0o755)
    with closing(Database(f"sqlite:///{tmp_path / 'ours.db'}")) as database:
        migrations.upgrade(database)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert set(modes) >= {"ours.db", "ours.db-wal", "ours.db-shm"}
    assert set(modes.values()) == {0o600}


def test_what_a_statement_was_about_is_in_no_fault(database: Database) -> None:
    """Whatever nobody has thought of ends in the log, as it is."""
    with pytest.raises(IntegrityError) as refused, database.write() as connection:
        webhook_secrets.add(connection, "nobody", "whsec_c2VjcmV0")
    assert "whsec_" not in str(refused.value)


def test_a_scan_comes_back_as_it_went(database: Database) -> None:
    scan = _add(
        database, _scan(filename="文件 '\";\\ 😀", metadata={"a": [1, {"b": None}]}, size=2**40, request_id="r")
    )
    with database.read() as connection:
        assert scans.get(connection, scan.id) == scan
        assert scans.get(connection, "nobody") is None


def test_a_verdict_comes_back_as_it_went(database: Database) -> None:
    scan = _add(database, _scan(Status.SCANNING))
    verdict = Verdict(
        Status.CLEAN,
        (Reason(ReasonCode.ENCRYPTED, "…"),),
        ("Eicar",),
        "text/plain",
        ScannerInfo("ClamAV 1.4.6", "27462", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        Promoted("clean", "k", 1, "0" * 64, "image/png", Pixels(8, 6, 1, 80, 60)),
    )
    with database.write() as connection:
        moved = scans.move(connection, scan.id, Status.SCANNING, Status.SETTLING, CAUSE, **verdict_values(verdict))
    with database.read() as connection:
        read = scans.get(connection, scan.id)
    assert moved == read
    assert read is not None
    assert (read.verdict, read.reasons, read.signatures) == (verdict.status, verdict.reasons, verdict.signatures)
    assert (read.scanner, read.promoted, read.detected_type) == (verdict.scanner, verdict.promoted, "text/plain")


def test_a_reason_that_only_a_newer_release_knows_can_be_read(database: Database) -> None:
    scan = _add(database, _scan(Status.SCANNING))
    unheard_of = {"reasons": [{"code": "unheard_of", "message": "…"}]}
    with database.write() as connection:
        scans.move(connection, scan.id, Status.SCANNING, Status.SETTLING, CAUSE, **unheard_of)
    with database.read() as connection:
        read = scans.get(connection, scan.id)
    assert read is not None
    assert read.reasons == (Reason("unheard_of", "…"),)


def test_moments_keep_their_microseconds_and_zone(database: Database) -> None:
    moment = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
    scan = _add(database, _scan(due_at=moment.astimezone(tz=None)))
    with database.read() as connection:
        read = scans.get(connection, scan.id)
    assert read is not None
    assert read.due_at == moment
    assert read.due_at.utcoffset() == timedelta(0)


def test_a_move_is_guarded_by_status_and_by_whatever_else(database: Database) -> None:
    scan = _add(database, _scan(Status.SCANNING, token="ours"))
    with database.write() as connection:
        assert scans.move(connection, scan.id, Status.QUEUED, Status.SCANNING, CAUSE) is None
        theirs = rows.c.token == "theirs"
        assert scans.move(connection, scan.id, Status.SCANNING, Status.QUEUED, CAUSE, theirs) is None
        assert scans.move(connection, scan.id, Status.SCANNING, Status.QUEUED, CAUSE, rows.c.token == "ours")
    with database.read() as connection:
        assert [event.target for event in events.of(connection, scan.id)] == [Status.SCANNING, Status.QUEUED]


def test_a_move_that_is_no_transition_is_refused(database: Database) -> None:
    scan = _add(database, _scan())
    with pytest.raises(ValueError, match="is no transition"), database.write() as connection:
        scans.move(connection, scan.id, Status.QUEUED, Status.CLEAN, CAUSE)


def test_an_end_clears_what_a_worker_held(database: Database) -> None:
    scan = _add(database, _scan(Status.SCANNING, token="t", lease_until=clock.now(), due_at=clock.now()))
    with database.write() as connection:
        ended = scans.move(connection, scan.id, Status.SCANNING, Status.FAILED, CAUSE)
    assert ended is not None
    assert (ended.token, ended.lease_until, ended.due_at) == (None, None, None)
    assert ended.finished_at == ended.updated_at


def test_an_exception_takes_everything_back(database: Database) -> None:
    scan = _scan()

    def half() -> None:
        with database.write() as connection:
            scans.add(connection, scan, CAUSE)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    with database.read() as connection:
        assert scans.get(connection, scan.id) is None
        assert events.of(connection, scan.id) == []


def test_of_many_claims_one_wins(database: Database) -> None:
    scan = _add(database, _scan())
    together = threading.Barrier(8)

    def claim(token: int) -> bool:
        together.wait()
        with database.write() as connection:
            return scans.move(connection, scan.id, Status.QUEUED, Status.SCANNING, CAUSE, token=str(token)) is not None

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(claim, range(8))) == {True: 1, False: 7}


def test_writers_in_parallel_all_get_their_turn(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: _add(database, _scan()), range(80)))
    with database.read() as connection:
        assert len(scans.page(connection, scans.Filter(), limit=200)) == 80


def test_pages_hold_every_scan_once_newest_first(database: Database) -> None:
    made = sorted(_add(database, _scan()).id for _ in range(7))
    seen: list[str] = []
    while True:
        with database.read() as connection:
            page = scans.page(connection, scans.Filter(), before=seen[-1] if seen else None, limit=3)
        if not page:
            break
        seen += [scan.id for scan in page]
    assert seen == made[::-1]


def test_filters(database: Database) -> None:
    one = _add(database, _scan(sha256="a" * 64))
    two = _add(database, _scan(Status.FAILED))
    moment = clock.moment_of(two.id)
    cases = [
        (scans.Filter(), {one.id, two.id}),
        (scans.Filter(ids=(one.id, "nobody")), {one.id}),
        (scans.Filter(statuses=(Status.FAILED, Status.CLEAN)), {two.id}),
        (scans.Filter(service="default"), {one.id, two.id}),
        (scans.Filter(service="other"), set()),
        (scans.Filter(sha256="a" * 64), {one.id}),
        (scans.Filter(since=moment + timedelta(seconds=1)), set()),
        (scans.Filter(until=moment + timedelta(seconds=1)), {one.id, two.id}),
        (scans.Filter(since=moment - timedelta(seconds=1), service="default"), {one.id, two.id}),
    ]
    with database.read() as connection:
        for wanted, expected in cases:
            assert {scan.id for scan in scans.page(connection, wanted, limit=10)} == expected, wanted
        many = [clock.new_id() for _ in range(40_000)]  # more than SQLite takes in one statement
        assert [scan.id for scan in scans.ended(connection, [one.id, *many, two.id, "x"])] == [two.id]


def test_events_stay_in_order(database: Database) -> None:
    scan = _add(database, _scan())
    for source, target in pairwise([Status.QUEUED, Status.SCANNING, Status.QUEUED, Status.SCANNING, Status.SETTLING]):
        with database.write() as connection:
            assert scans.move(connection, scan.id, source, target, Cause(Mover.WORKER, f"to {target}", "test", "r"))
    with database.read() as connection:
        story = events.of(connection, scan.id)
    assert [event.reason for event in story[1:]] == ["to scanning", "to queued", "to scanning", "to settling"]
    assert all(event.request_id == "r" for event in story[1:])
    assert [event.at for event in story] == sorted(event.at for event in story)


def test_the_bootstrap_key_exists_once_with_every_scope(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: services.ensure_bootstrap_key(database, "another"), range(8)))
    caller = services.identify(database, "another")
    assert caller is not None
    assert caller.scopes == frozenset(Scope)
    assert services.identify(database, "anothe") is None
    assert services.identify(database, "") is None


def test_keys_are_hashed_at_rest(database: Database) -> None:
    with database.read() as connection:
        dump = str(connection.exec_driver_sql("SELECT * FROM api_keys").fetchall())
    assert "'key'" not in dump


def test_what_is_known_of_a_scanner_is_replaced(database: Database) -> None:
    moment = clock.now()
    for trusted in (True, False):
        found = {"engine": None, "database": None, "database_time": None, "detail": "…"}
        with database.write() as connection:
            scanners.report(connection, "host unix:///x", trusted=trusted, checked_at=moment, **found)
    with database.read() as connection:
        assert [each["trusted"] for each in scanners.since(connection, moment)] == [False]
        assert scanners.since(connection, moment + timedelta(seconds=1)) == []


def test_a_database_that_is_silent_is_told_and_its_connection_replaced(postgres_url: str) -> None:
    """Its process hangs; its kernel goes on acknowledging what we send."""
    database, silenced = Database(postgres_url, timeout=1), list[int]()

    def ask_the_silent(connection: Connection, question: str) -> None:
        silenced.append(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        os.kill(silenced[-1], signal.SIGSTOP)
        connection.exec_driver_sql(question)

    begun = time.monotonic()
    try:
        with pytest.raises(DatabaseUnavailable, match="does not answer"), database.read() as connection:
            ask_the_silent(connection, "SELECT 1")
        with pytest.raises(DatabaseUnavailable, match="does not answer"), database.read() as connection:
            ask_the_silent(connection, "ROLLBACK")
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    finally:
        for backend in silenced:
            os.kill(backend, signal.SIGCONT)
        database.close()
    assert len(set(silenced)) == 2
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_is_shut_to_writers_is_told(database: Database, database_url: str) -> None:
    """As while it fails over."""
    with database.write() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    shut = Database(database_url)
    with pytest.raises(DatabaseUnavailable, match="read-only"), shut.write() as connection:
        scans.add(connection, _scan(), CAUSE)
    shut.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_machines_whose_clocks_differ_agree_on_the_time(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_ahead", timedelta())
    monkeypatch.setattr(clock, "_own", lambda: datetime.now(UTC) - timedelta(hours=1))
    slow = Database(database_url)
    assert datetime.now(UTC) - clock.now() > timedelta(minutes=59)
    with slow.read():
        assert abs(datetime.now(UTC) - clock.now()) < timedelta(seconds=1)
    slow.close()


def test_a_database_that_is_away_is_told() -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none", connect_timeout=1)
    for transaction in (away.read, away.write):
        with pytest.raises(DatabaseUnavailable, match="does not answer"), transaction():
            pass
    away.close()
