"""How much each service asks for: requests in a minute, bytes in a day. Counted in Redis, for all API
processes together.

A convenience, no safeguard: while Redis is away every request passes, and none waits for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from worker import clock, metrics, telemetry
from worker.errors import LazarettoError
from worker.policy import LimitPolicy
from worker.telemetry import Log

_AWAY_SECONDS = 5.0  # how long a Redis that did not answer is not asked
_PATIENCE = 0.5  # seconds for connecting, and for each answer
T = TypeVar("T")


class QuotaExceeded(LazarettoError):
    """The service has used up its bytes for today; the same upload may be sent again tomorrow."""

    code = "quota_exceeded"
    retryable = True

    def __init__(self, *, expected: str, wait: int) -> None:
        """`wait`: seconds until there are bytes again."""
        super().__init__(expected=expected)
        self.wait = wait


class NeverWithinQuota(LazarettoError):
    """The file is larger than what the service may upload in a whole day."""

    code = "quota_exceeded"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a service stands with its requests."""

    taken: bool  # False: this request is one too many
    limit: int
    remaining: int
    reset: int  # seconds until there is another
    window: int  # seconds


class Quotas:
    """Counts; one per API process. Safe to use from several threads.

    A sliding window: two counters, weighted, so that the turn of a minute lets no double portion through, and a
    refused request costs nothing (https://limits.readthedocs.io/en/stable/strategies.html#sliding-window-counter).
    """

    def __init__(self, redis_url: str) -> None:
        self._storage = RedisStorage(
            redis_url,
            wrap_exceptions=True,
            key_prefix="lazaretto-limits",
            socket_connect_timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
        )
        self._counters = SlidingWindowCounterRateLimiter(self._storage)
        self._away_until, self._is_away = 0.0, False

    def take_request(self, service: str, limits: LimitPolicy) -> Standing | None:
        """Count one request. None: nothing limits it, or nobody can say."""
        if limits.requests_per_minute is None:
            return None
        item = RateLimitItemPerMinute(limits.requests_per_minute)
        return self._asked(lambda: self._standing(item, service), None)

    def take_bytes(self, service: str, limits: LimitPolicy, size: int) -> None:
        """Count bytes that are about to be sent, whatever becomes of them; a refused upload costs none.

        Raises `QuotaExceeded`, and `NeverWithinQuota` where waiting does not help.
        """
        if limits.bytes_per_day is None or size == 0:
            return
        item = RateLimitItemPerDay(limits.bytes_per_day)
        expected = f"at most {item.amount} bytes in a day of UTC"
        if size > item.amount:
            raise NeverWithinQuota(expected=expected)
        now = clock.now()
        if not self._asked(lambda: self._counters.hit(item, service, now.date().isoformat(), cost=size), True):
            tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            raise QuotaExceeded(expected=expected, wait=math.ceil((tomorrow - now).total_seconds()))

    def close(self) -> None:
        self._storage.storage.close()

    def _standing(self, item: RateLimitItem, service: str) -> Standing:
        taken = self._counters.hit(item, service)
        stats = self._counters.get_window_stats(item, service)
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        return Standing(taken, item.amount, stats.remaining if taken else 0, reset, item.get_expiry())

    def _asked(self, ask: Callable[[], T], otherwise: T) -> T:
        """The answer; `otherwise` while Redis is away. Of many callers one asks again whether it still is."""
        if time.monotonic() < self._away_until:
            metrics.limits_not_counted()
            return otherwise
        if self._is_away:
            self._away_until = time.monotonic() + _AWAY_SECONDS
        try:
            answer = ask()
        except StorageError as fault:
            self._away_until = time.monotonic() + _AWAY_SECONDS
            if not self._is_away:
                telemetry.warn(Log.LIMITS_NOT_COUNTED, error=str(fault))
            self._is_away = True
            metrics.limits_not_counted()
            return otherwise
        self._is_away, self._away_until = False, 0.0
        return answer
