"""The doctor at our own parts: database, API, workers, sweeper, keys."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from ops.doctor import api, clocks, database, files, keys, processes
from ops.doctor.check import Finding, Verdict
from ops.doctor.examine import examine
from ops.doctor.subject import Subject
from tests.calendar import Calendar
from tests.peer import Answer, Peer
from tests.server import Server
from tests.stack import until
from tests.system import System
from worker import api_keys, migrations
from worker.lanes import Lane
from worker.services import Scope
from worker.settings import Settings
from worker.store import rescans

CHECKS = {check.name: check for module in (api, clocks, database, files, keys, processes) for check in module.CHECKS}

ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # which is not what it is about


def _look(name: str, settings: Settings, **variables: str) -> Finding:
    subject = Subject(variables, settings, ())
    try:
        [result] = examine([CHECKS[name]], subject)
        return result.finding
    finally:
        subject.close()


@pytest.fixture
def served(system: System) -> Iterator[Settings]:
    """The settings of a system whose API runs."""
    with Server(system.settings) as server:
        yield system.settings.model_copy(update={"port": server.port})


def test_a_database_that_lacks_a_migration_fails(system: System) -> None:
    assert _look("database", system.settings).verdict is Verdict.OK
    migrations.downgrade(system.database, "0004")
    assert _look("database", system.settings) == Finding(Verdict.FAIL, "it is not up to date")


def test_a_database_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/lost/lazaretto.db", "postgresql://nobody@127.0.0.1:9/nothing"):
        settings = Settings(_env_file=None, database_url=SecretStr(url))
        for name in (
            "database",
            "database-role",
            "workers",
            "sweeper",
            "operator-keys",
            "unused-keys",
            "database-clock",
        ):
            assert _look(name, settings).verdict is Verdict.FAIL, name
    assert not (tmp_path / "lost").exists()


def test_a_role_that_may_do_more_than_it_needs_is_a_warning(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as administrator:
        administrator.execute("CREATE ROLE doctor_narrow LOGIN")
        narrow = Settings(_env_file=None, database_url=SecretStr(_as(postgres_url, "doctor_narrow")))
        assert _look("database-role", narrow).verdict is Verdict.OK
        administrator.execute("ALTER ROLE doctor_narrow CREATEDB")
        assert _look("database-role", narrow) == Finding(Verdict.WARN, "it may make databases (CREATEDB)")
        administrator.execute("DROP ROLE doctor_narrow")


def test_a_server_that_asks_for_no_password_is_dangerous(postgres_url: str, server_folder: Path) -> None:
    rules = server_folder / "postgresql" / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(postgres_url, autocommit=True) as administrator:
        administrator.execute("CREATE ROLE doctor_strict LOGIN PASSWORD '4c9d1e7a35f802b6'")
        strict = Settings(_env_file=None, database_url=SecretStr(_as(postgres_url, "doctor_strict:4c9d1e7a35f802b6")))
        assert _look("database-password", strict) == Finding(Verdict.WARN, "it answers whoever asks")
        assert _look("database-password", strict, LAZARETTO_ENV="production").verdict is Verdict.FAIL
        assert _look("database-password", _among_the_options(strict)) == Finding(
            Verdict.WARN, "it answers whoever asks"
        )
        rules.write_text(f"host all doctor_strict 127.0.0.1/32 scram-sha-256\n{before}")
        try:
            administrator.execute("SELECT pg_reload_conf()")
            until(lambda: _look("database-password", strict) == Finding(Verdict.OK, "it refuses"), 10, "a reload")
        finally:
            rules.write_text(before)
            administrator.execute("SELECT pg_reload_conf()")
            administrator.execute("DROP ROLE doctor_strict")


def _among_the_options(settings: Settings) -> Settings:
    """The same address, with host and port where libpq takes them as well."""
    url = make_url(settings.database_url.get_secret_value())
    query = {"host": str(url.host), "port": str(url.port)}
    other = url._replace(host=None, port=None).update_query_dict(query).render_as_string(hide_password=False)
    return settings.model_copy(update={"database_url": SecretStr(other)})


def _as(url: str, role: str) -> str:
    """The URL of another role, and its password after a colon."""
    name, _, password = role.partition(":")
    return make_url(url).set(username=name, password=password or None).render_as_string(hide_password=False)


@pytest.mark.parametrize(("seconds", "verdict"), [(0, Verdict.OK), (10, Verdict.WARN), (-60, Verdict.FAIL)])
def test_a_clock_that_is_not_the_databases(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, seconds: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(clocks, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    settings = Settings(_env_file=None, database_url=SecretStr(postgres_url))
    assert _look("database-clock", settings).verdict is verdict


def test_without_a_worker_nothing_is_scanned(system: System, calendar: Calendar) -> None:
    assert _look("workers", system.settings).verdict is Verdict.FAIL
    system.parts.scanners.check()
    assert _look("workers", system.settings).verdict is Verdict.OK
    calendar.pass_time(system.settings.canary_seconds + 1)
    assert _look("workers", system.settings) == Finding(Verdict.FAIL, "none has a scanner that it trusts")


def test_a_queue_that_nobody_works_for(system: System, calendar: Calendar) -> None:
    """Workers of another queue report the same scanner."""
    assert _look("queues", system.settings).verdict is Verdict.OK
    waiting = system.upload(b"hello")
    calendar.pass_time(299)
    assert _look("queues", system.settings).verdict is Verdict.OK
    calendar.pass_time(61)
    system.parts.scanners.check()
    assert _look("workers", system.settings).verdict is Verdict.OK
    assert _waits(system) == (Verdict.FAIL, "scans: for 0:06")
    system.amend(waiting.id, lane=Lane.BULK)
    assert _look("queues", system.settings).verdict is Verdict.OK
    calendar.pass_time(12 * 3600)
    assert _waits(system) == (Verdict.WARN, "bulk: for 12:06")
    system.amend(waiting.id, lane=Lane.LARGE)
    assert _waits(system) == (Verdict.WARN, "large: for 12:06")


def _waits(system: System) -> tuple[Verdict, str]:
    """To the minute: the seconds are those of this machine."""
    finding = _look("queues", system.settings)
    return finding.verdict, finding.found[: -len(":00")]


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ({"status": "scanning", "finished_at": None, "lease_until": True}, "1 scans whose lease is over"),
        ({"tidy_at": True}, "1 ended scans with bytes to delete"),
    ],
)
def test_what_only_a_sweeper_that_is_away_leaves(system: System, left: dict[str, Any], told: str) -> None:
    scan = system.outcome(b"hello")
    assert _look("sweeper", system.settings).verdict is Verdict.INFO
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    system.amend(scan.id, **{name: long_ago if value is True else value for name, value in left.items()})
    assert _look("sweeper", system.settings) == Finding(Verdict.FAIL, told)
    system.sweep()
    assert _look("sweeper", system.settings).verdict is Verdict.INFO


def test_a_rescan_that_only_a_sweeper_that_is_away_leaves(system: System) -> None:
    scan = system.outcome(b"hello")
    with system.database.write() as connection:
        rescans.ask(connection, rescans.Asker("night", None, None), [scan.id], enqueued_at=None)
        rescans.take(connection, scan.id, datetime.now(UTC) - timedelta(minutes=5))
    assert _look("sweeper", system.settings) == Finding(Verdict.FAIL, "1 rescans whose lease is over")
    system.sweep()
    assert _look("sweeper", system.settings).verdict is Verdict.INFO


@ON_ONE_DATABASE
@pytest.mark.parametrize(("seconds", "verdict"), [(5, Verdict.OK), (300, Verdict.FAIL)])
def test_a_sweeper_tells_when_it_swept_last(system: System, seconds: int, verdict: Verdict) -> None:
    swept = f"lazaretto_sweeper_last_sweep_timestamp_seconds {time.time() - seconds}\n"
    with Peer.running(Answer(200, swept.encode())) as told:
        finding = _look("sweeper", system.settings, LAZARETTO_URL=told.url)
    assert finding.verdict is verdict
    assert finding.found.startswith("its last sweep is ")


def test_keys_that_operate_for_good_and_keys_that_nobody_uses(system: System, calendar: Calendar) -> None:
    assert "for good: bootstrap_" in _look("operator-keys", system.settings).found
    api_keys.add_service(system.database, "night")
    own = api_keys.create(system.database, "night", [Scope.OPERATE], None)
    limited = api_keys.create(system.database, "night", [Scope.OPERATE], 200 * 86400)
    found = _look("operator-keys", system.settings)
    assert found.verdict is Verdict.WARN
    assert own.prefix in found.found
    assert limited.prefix not in found.found
    assert _look("unused-keys", system.settings).verdict is Verdict.OK
    calendar.pass_time(91 * 86400)
    assert limited.prefix in _look("unused-keys", system.settings).found


@ON_ONE_DATABASE
@pytest.mark.parametrize("name", ["http-headers", "keys-needed"])
def test_the_api_as_it_is_is_sound(served: Settings, name: str) -> None:
    assert _look(name, served, LAZARETTO_ENV="production").verdict is Verdict.OK


@ON_ONE_DATABASE
def test_the_api_says_what_is_amiss(served: Settings) -> None:
    finding = _look("api", served)
    assert finding.verdict is Verdict.WARN
    assert "scanners: no worker has reported a scanner lately" in finding.found


@ON_ONE_DATABASE
def test_another_policy_here_than_in_the_api_fails(system: System, served: Settings) -> None:
    assert _look("one-policy", served).verdict is Verdict.OK
    changed = system.with_policy("\n[services.other]\nmax_size = '1 MiB'\n").policy_file
    assert _look("one-policy", served.model_copy(update={"policy_file": changed})).verdict is Verdict.FAIL


def test_a_proxy_that_drops_headers_and_adds_a_key_fails() -> None:
    with Peer.running(Answer(200, b"<p>", {"Server": "proxy/1.2.3"})) as proxy:
        where = {"LAZARETTO_URL": proxy.url}
        headers = _look("http-headers", Settings(_env_file=None), LAZARETTO_ENV="production", **where)
        open_to_all = _look("keys-needed", Settings(_env_file=None), **where)
    assert headers.verdict is Verdict.FAIL
    for fault in ("no Content-Security-Policy", "no X-Content-Type-Options", "may be framed", "no-store"):
        assert f"page: {fault}" in headers.found or fault in headers.found
    assert "Server tells a version" in headers.found
    assert open_to_all.verdict is Verdict.FAIL
    assert "PUT /v1/uploads/doctor.txt with a made-up key answers 200" in open_to_all.found


def test_a_policy_for_scripts_in_pages_fails() -> None:
    lax = {"Content-Security-Policy": "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'"}
    with Peer.running(Answer(200, b"<p>", lax)) as proxy:
        finding = _look("http-headers", Settings(_env_file=None), LAZARETTO_URL=proxy.url)
    assert "Content-Security-Policy has 'unsafe-inline'" in finding.found


@pytest.mark.parametrize("name", ["api", "http-headers", "keys-needed", "one-policy"])
def test_an_api_that_is_away_is_never_sound(name: str) -> None:
    finding = _look(name, Settings(_env_file=None), LAZARETTO_URL="http://127.0.0.1:9")
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("could not be looked at: ConnectError")


def test_a_disk_that_is_nearly_full_fails(tmp_path: Path) -> None:
    root = ["sudo", "-n"] if os.geteuid() else []
    subprocess.run([*root, "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], check=True)
    try:
        finding = _look("disk-room", Settings(_env_file=None, home=tmp_path))
    finally:
        subprocess.run([*root, "umount", str(tmp_path)], check=True)
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith(f"{tmp_path} has 0.0 of 0.0 GiB")
