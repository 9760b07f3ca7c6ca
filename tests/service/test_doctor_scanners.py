"""The doctor at scanners that see too little, and at a sandbox that lacks a wall."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, socket
from threading import Thread

import pytest

from ops.doctor import sandbox, scanners
from ops.doctor.check import Finding, Verdict
from ops.doctor.examine import examine
from ops.doctor.subject import Subject
from ops.embedded.clamd_server import Clamd
from ops.embedded.ports import choose
from ops.embedded.supervisor import Supervisor
from tests.service.test_worker_start import WITHOUT_LANDLOCK
from worker.settings import Settings

CHECKS = {check.name: check for module in (scanners, sandbox) for check in module.CHECKS}
LAZARETTO = str(Path(sys.executable).parent / "lazaretto")
PRODUCTION = {"LAZARETTO_ENV": "production"}


def _look(name: str, *addresses: str, production: bool = False) -> Finding:
    settings = Settings(_env_file=None, clamd=addresses or ("unix:///nonexistent",))
    [result] = examine([CHECKS[name]], Subject(PRODUCTION if production else {}, settings, ()))
    return result.finding


@dataclass
class _AsShipped(Clamd):
    """clamd as it is configured by nobody: it passes what it cannot see."""

    def prepare(self) -> None:
        super().prepare()
        path = self.directory / "clamd.conf"
        own = path.read_text().replace("AlertEncrypted yes", "AlertEncrypted no")
        path.write_text(own.replace("StreamMaxLength 2048M", "StreamMaxLength 25M"))


@pytest.fixture(scope="module")
def as_shipped(servers: Supervisor, server_folder: Path, clamd: Clamd) -> str:
    port = choose(["clamd"])["clamd"]
    server = _AsShipped(server_folder / "as-shipped", clamd.signatures, port, clamd.account, "as-shipped-clamd")
    servers.start(server)
    return server.tcp_address


@pytest.mark.parametrize("name", ["canaries", "scanner-limits"])
def test_a_scanner_with_our_configuration_is_sound(clamd_address: str, clamd_tcp_address: str, name: str) -> None:
    assert _look(name, clamd_address, clamd_tcp_address).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("canaries", "said OK to an encrypted zip"),
        ("scanner-limits", "takes no stream of 2147483645 bytes"),
    ],
)
def test_a_scanner_as_it_comes_fails_beside_one_that_is_sound(
    as_shipped: str, clamd_address: str, name: str, told: str
) -> None:
    finding = _look(name, clamd_address, as_shipped)
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith(f"{as_shipped} {told}")
    assert clamd_address in finding.found


@pytest.mark.parametrize("name", ["canaries", "scanner-limits", "signatures"])
def test_a_scanner_that_is_away_fails_and_hides_no_other(clamd_tcp_address: str, name: str) -> None:
    finding = _look(name, "tcp://127.0.0.1:9", clamd_tcp_address)
    assert finding.verdict is Verdict.FAIL
    assert "tcp://127.0.0.1:9: cannot connect" in finding.found
    assert clamd_tcp_address in finding.found


def test_development_signatures_are_dangerous(clamd_address: str) -> None:
    assert _look("signatures", clamd_address).verdict is Verdict.WARN
    assert _look("signatures", clamd_address, production=True).verdict is Verdict.FAIL


@contextmanager
def _told(folder: Path, version: str) -> Iterator[str]:
    """Answers VERSION as clamd does with signatures of that time, which nobody has here."""
    path = folder / "clamd.sock"
    with socket(AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            link, _ = server.accept()
            with link:
                assert link.recv(64) == b"nVERSION\n"
                link.sendall(f"{version}\n".encode())
                link.shutdown(SHUT_RDWR)

        thread = Thread(target=answer)
        thread.start()
        yield f"unix://{path}"
        thread.join()


@pytest.mark.parametrize(("hours", "verdict"), [(5, Verdict.OK), (40, Verdict.WARN), (80, Verdict.FAIL)])
def test_old_signatures_fail_and_ageing_ones_are_a_warning(tmp_path: Path, hours: int, verdict: Verdict) -> None:
    made = datetime.now(UTC) - timedelta(hours=hours)
    with _told(tmp_path, f"ClamAV 1.4.6/27462/{made:%a %b %d %H:%M:%S %Y}") as address:
        finding = _look("signatures", address)
    assert finding.verdict is verdict
    assert f"signatures 27462, {hours} h old" in finding.found


def test_the_sandbox_of_this_machine_is_sound() -> None:
    assert _look("sandbox", production=True).verdict is Verdict.OK


def test_a_kernel_without_landlock_is_told(tmp_path: Path) -> None:
    """And with nothing else there: every check comes to its end."""
    variables = {"PATH": "/usr/bin:/bin", "LAZARETTO_ENV": "production", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-c", WITHOUT_LANDLOCK, LAZARETTO, "doctor", "--json"]
    ended = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=90)
    assert ended.returncode == 1, ended.stderr
    told = json.loads(ended.stdout)
    checks = {each["name"]: each for each in told["checks"]}
    assert not told["passed"]
    assert checks["sandbox"]["verdict"] == "fail"
    assert checks["sandbox"]["found"].startswith("missing: Landlock (")
    for name in ("database", "redis-password", "buckets", "canaries", "api", "workers"):
        assert checks[name]["verdict"] == "fail", checks[name]
