"""`python -m ops.embedded`, as operators meet it: side by side, interrupted, killed, refused."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
import redis
from botocore.exceptions import ClientError

from tests import processes
from tests.stack import Stack, until

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Refused = Callable[..., list[str]]


@pytest.fixture
def refused(tmp_path: Path, development_signatures: Path) -> Refused:
    """What a stack says that cannot run with these variables."""

    def run(**variables: str) -> list[str]:
        stack = Stack(tmp_path, development_signatures, **variables)
        assert stack.wait() == 1
        assert stack.output == ""
        return stack.said.splitlines()

    return run


@contextmanager
def _store(env: dict[str, str]) -> Iterator[S3Client]:
    """The S3 server that these variables lead to."""
    session = boto3.session.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    client = session.client("s3", endpoint_url=env["AWS_ENDPOINT_URL_S3"], region_name=env["AWS_REGION"])
    yield client
    client.close()


def _ended(pids: frozenset[int]) -> bool:
    return not any(processes.alive(pid) for pid in pids)


def test_it_says_that_its_signatures_are_for_development(stack: Stack) -> None:
    assert "development signatures: clamd knows EICAR" in stack.said


def test_stack_env_leads_to_everything_and_is_for_us_alone(stack: Stack) -> None:
    assert stat.S_IMODE((stack.home / "stack.env").stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.home.stat().st_mode) == 0o700
    env = stack.env
    with redis.Redis.from_url(env["LAZARETTO_REDIS_URL"]) as client:
        assert client.ping()
    with _store(env) as store:
        names = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    assert names == {env["LAZARETTO_QUARANTINE_BUCKET"], env["LAZARETTO_CLEAN_BUCKET"]}
    assert env["LAZARETTO_PORT"] == str(stack.port)
    assert Path(env["LAZARETTO_CLAMD"].removeprefix("unix://")).is_socket()
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    assert httpx.get(f"{stack.base_url}/v1/scans", headers=headers).status_code == 200


def test_its_servers_turn_away_whoever_has_no_secret(stack: Stack) -> None:
    host, port = "127.0.0.1", int(stack.env["LAZARETTO_REDIS_URL"].rsplit(":", 1)[1].split("/")[0])
    with redis.Redis(host, port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert httpx.get(f"{stack.env['AWS_ENDPOINT_URL_S3']}/quarantine").status_code == 403
    stranger = {"AWS_ACCESS_KEY_ID": "stranger", "AWS_SECRET_ACCESS_KEY": "secret"}
    with _store(stack.env | stranger) as store, pytest.raises(ClientError, match="InvalidAccessKeyId"):
        store.list_buckets()


def test_no_secret_is_on_a_command_line(stack: Stack) -> None:
    secrets = [value for name, value in stack.env.items() if name.endswith(("_KEY", "_REDIS_URL"))]
    lines = [processes.command(pid) for pid in stack.pids]
    assert not [line for line in lines if any(secret in line for secret in secrets)]


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    listing = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    ours = [line for line in listing if any(f"pid={pid}," in line for pid in stack.pids)]
    assert len(ours) >= 3
    assert {line.split()[3].rpartition(":")[0] for line in ours} == {"127.0.0.1"}


def test_clamd_is_not_root(stack: Stack) -> None:
    status = Path(f"/proc/{stack.named('/clamd ')}/status").read_text()
    assert "\nUid:\t0" not in status


def test_a_killed_server_comes_back(stack: Stack) -> None:
    killed = stack.named("redis-server")
    os.kill(killed, signal.SIGKILL)
    until(lambda: "redis is back after" in stack.said, 20, "redis is back")
    assert "redis died (killed by SIGKILL); starting it again in 0.5 s" in stack.said
    with redis.Redis.from_url(stack.env["LAZARETTO_REDIS_URL"]) as client:
        assert client.ping()


def test_a_second_stack_on_one_home_is_refused(stack: Stack, refused: Refused) -> None:
    said = refused(LAZARETTO_HOME=str(stack.home))
    assert said == [f"lazaretto: another stack is running in {stack.home}; stop it, or set LAZARETTO_HOME"]


def test_a_taken_port_is_one_line(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert refused(LAZARETTO_PORT=str(port)) == [
            f"lazaretto: port {port} on 127.0.0.1 is taken; stop what listens there, or set LAZARETTO_PORT"
        ]


def test_development_signatures_are_a_fault_in_production(refused: Refused) -> None:
    (line,) = refused(LAZARETTO_ENV="production")
    assert line.startswith("lazaretto: LAZARETTO_ENV=production needs ClamAV's own signatures")


def test_wrong_settings_are_named_together(refused: Refused) -> None:
    line = refused(LAZARETTO_MAX_ATTEMPTS="0", LAZARETTO_LEASE_SECONDS="x")[-1]
    assert "LAZARETTO_MAX_ATTEMPTS" in line
    assert "LAZARETTO_LEASE_SECONDS" in line


def test_a_stack_that_is_interrupted_while_it_starts_leaves_nothing(
    tmp_path: Path, development_signatures: Path
) -> None:
    stack = Stack(tmp_path, development_signatures)
    until(lambda: len(stack.pids) >= 4, 30, "some children")
    family = stack.pids
    stack.signal(signal.SIGINT)
    assert stack.wait() == 0
    assert stack.output == ""
    assert _ended(family)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stack_beside_another_stops_with_all_its_children(
    stack: Stack, tmp_path: Path, development_signatures: Path, number: signal.Signals
) -> None:
    with Stack.started(
        tmp_path / "with spaces" if number == signal.SIGINT else tmp_path, development_signatures
    ) as two:
        assert two.base_url != stack.base_url
        for each in (stack, two):
            assert httpx.get(f"{each.base_url}/readyz").json()["status"] == "ok"
        assert not two.pids & stack.pids
        family = two.pids
        two.signal(number)
        assert two.wait() == 0
        assert _ended(family)
    assert httpx.get(f"{stack.base_url}/healthz").status_code == 200


def test_a_killed_supervisor_leaves_no_process_and_the_next_start_is_quick(
    tmp_path: Path, development_signatures: Path
) -> None:
    with Stack.started(tmp_path, development_signatures) as first:
        family = first.pids
        key = first.api_key
        first.signal(signal.SIGKILL)
        first.wait()
        until(lambda: _ended(family), 10, "the end of its children")
    began = time.monotonic()
    with Stack.started(tmp_path, development_signatures) as second:
        assert time.monotonic() - began < 30  # 10 s on an idle machine
        assert second.api_key == key


def test_servers_of_the_operators_own_are_used_instead(
    tmp_path: Path,
    development_signatures: Path,
    redis_url: str,
    s3: dict[str, str],
    clamd_address: str,
) -> None:
    buckets = {"LAZARETTO_QUARANTINE_BUCKET": "own-quarantine", "LAZARETTO_CLEAN_BUCKET": "own-clean"}
    with _store(s3) as store:
        for bucket in buckets.values():
            store.create_bucket(Bucket=bucket)
    own = {"LAZARETTO_REDIS_URL": redis_url, "LAZARETTO_CLAMD": clamd_address, **s3, **buckets}
    with Stack.started(tmp_path, development_signatures, **own) as stack:
        commands = " ".join(processes.command(pid) for pid in stack.pids)
        assert not [server for server in ("redis-server", "weed", "clamd.conf") if server in commands]
        assert own.items() <= stack.env.items() | {("AWS_DEFAULT_REGION", s3["AWS_DEFAULT_REGION"])}


def test_the_command_takes_its_settings_from_a_dotenv_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LAZARETTO_PORT=none\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAZARETTO_")}
    done = subprocess.run(
        [sys.executable, "-m", "ops.embedded"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "lazaretto: LAZARETTO_PORT is 'none', expected a number of at least 1\n"
