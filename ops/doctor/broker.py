"""Redis: whoever reaches it may have workers run tasks, and lift every limit."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import redis

from ops.doctor.check import Check, Finding, fail, judged, ok, warn
from ops.doctor.subject import Subject
from worker.errors import QueueUnavailable

_CREDENTIALS = re.compile(r"(?<=[?&])(username|password)=[^&]*&?")
_NEVER_THROWN_AWAY = "noeviction"
_NEARLY_FULL = 0.9


def _password(subject: Subject) -> Finding:
    """Asked as anybody would who can reach it."""
    with _client(subject, anonymous=True) as client:
        try:
            client.ping()
        except (redis.AuthenticationError, redis.exceptions.AuthorizationError, redis.ResponseError):
            return ok("it refuses")
        except (redis.RedisError, OSError) as fault:
            raise QueueUnavailable(f"Redis does not answer ({fault})") from fault
    return fail("it answers whoever asks")


def _memory(subject: Subject) -> Finding:
    found = _told(subject, "memory")
    policy, limit, used = found["maxmemory_policy"], int(found["maxmemory"]), int(found["used_memory"])
    if policy != _NEVER_THROWN_AWAY:
        return fail(f"maxmemory-policy is {policy}: waiting tasks are thrown away")
    faults = [f"{used} of {limit} bytes are used"] if limit and used > limit * _NEARLY_FULL else []
    return judged(faults, f"{policy}, {used} bytes used of {limit or 'whatever there is'}", warn)


def server_version(subject: Subject) -> str:
    """Of Redis. Raises `QueueUnavailable`."""
    return str(_told(subject, "server")["redis_version"])


def _told(subject: Subject, section: str) -> dict[str, Any]:
    with _client(subject) as client:
        try:
            found: dict[str, Any] = client.info(section)
        except (redis.RedisError, OSError) as fault:
            raise QueueUnavailable(f"Redis does not answer ({fault})") from fault
    return found


def _client(subject: Subject, *, anonymous: bool = False) -> redis.Redis:
    url, wait = subject.settings.redis_url.get_secret_value(), subject.settings.connect_timeout
    return redis.Redis.from_url(_anonymous(url) if anonymous else url, socket_connect_timeout=wait, socket_timeout=wait)


def _anonymous(url: str) -> str:
    """Without user and password, before the host or among the options."""
    address = urlsplit(url).netloc
    return _CREDENTIALS.sub("", url.replace(f"//{address}", f"//{address.rpartition('@')[2]}", 1))


CHECKS = (
    Check(
        name="redis-password",
        what="Redis, asked without a password",
        expected="it refuses",
        mend="set requirepass (or an ACL) in redis.conf, and the password in LAZARETTO_REDIS_URL",
        look=_password,
    ),
    Check(
        name="redis-memory",
        what="what Redis does when its memory is full",
        expected="maxmemory-policy noeviction, and room",
        mend="set maxmemory-policy noeviction in redis.conf; raise maxmemory",
        look=_memory,
    ),
)
