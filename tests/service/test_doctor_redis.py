"""The doctor at a Redis as it comes: no password, and tasks thrown away when memory is full."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from ops.doctor import broker
from ops.doctor.check import Finding, Verdict
from ops.doctor.examine import examine
from ops.doctor.subject import Subject
from ops.doctor.versions import PARSERS
from ops.embedded.ports import LOOPBACK, choose
from ops.embedded.redis_server import Redis
from ops.embedded.supervisor import Supervisor
from worker.settings import Settings

CHECKS = {check.name: check for check in broker.CHECKS}
Look = Callable[..., Finding]


@dataclass
class _Unprotected(Redis):
    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        super().prepare()
        lines = self._configuration.read_text().splitlines()
        self._configuration.write_text("\n".join(line for line in lines if not line.startswith("requirepass")))


@pytest.fixture(scope="module")
def unprotected(servers: Supervisor, server_folder: Path) -> str:
    server = _Unprotected(server_folder / "unprotected", choose(["redis"])["redis"], "", "unprotected-redis")
    servers.start(server)
    return server.url


def _look(name: str, url: str) -> Finding:
    subject = Subject({}, Settings(_env_file=None, redis_url=SecretStr(url)), ())
    [result] = examine([CHECKS[name]], subject)
    return result.finding


def test_one_that_asks_for_a_password_is_sound(redis_url: str) -> None:
    assert _look("redis-password", redis_url) == Finding(Verdict.OK, "it refuses")
    assert _look("redis-memory", redis_url).verdict is Verdict.OK


@pytest.mark.parametrize("options", ["", "?password=any", "?db=0&password=any&protocol=2"])
def test_one_that_answers_anybody_fails(unprotected: str, options: str) -> None:
    """Also where we say a password: it is not what keeps strangers out."""
    assert _look("redis-password", unprotected + options) == Finding(Verdict.FAIL, "it answers whoever asks")
    with_password = unprotected.replace("//", "//:any@") + options
    assert _look("redis-password", with_password).verdict is Verdict.FAIL


def test_one_that_throws_tasks_away_fails(unprotected: str) -> None:
    with redis.Redis.from_url(unprotected) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        finding = _look("redis-memory", unprotected)
        client.config_set("maxmemory-policy", "noeviction")
    assert finding == Finding(Verdict.FAIL, "maxmemory-policy is allkeys-lru: waiting tasks are thrown away")


def test_one_that_is_nearly_full_is_a_warning(unprotected: str) -> None:
    with redis.Redis.from_url(unprotected) as client:
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 1000)
        finding = _look("redis-memory", unprotected)
        client.config_set("maxmemory", 0)
    assert finding.verdict is Verdict.WARN


@pytest.mark.parametrize("name", ["redis-password", "redis-memory"])
def test_one_that_is_away_is_never_sound(name: str) -> None:
    finding = _look(name, "redis://:password@127.0.0.1:9/0")
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("could not be looked at: Redis does not answer")


def test_one_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        finding = _look("redis-password", f"redis://:password@127.0.0.1:{silent.getsockname()[1]}/0")
    assert time.monotonic() - begun < 10
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("could not be looked at: Redis does not answer")


def test_its_version_is_told(redis_url: str) -> None:
    [parser] = [each for each in PARSERS if each.name == "Redis"]
    assert parser.version(Subject({}, Settings(_env_file=None, redis_url=SecretStr(redis_url)), ()))[0].isdigit()
