"""Which scans have ended, as whoever ended them says in Redis: heard at once, and never relied upon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

from worker import telemetry
from worker.adapters.task_queue import ENDED
from worker.telemetry import Log

_SILENCE = 10.0  # seconds after which Redis is asked whether it is still there, and within which it has to say so
_AWAY_SECONDS = 1.0  # before a Redis that was away is tried again


class Endings:
    """One subscription for all of a process."""

    def __init__(self, redis_url: str, *, connect_timeout: float) -> None:
        """`connect_timeout` in seconds."""
        self._url, self._connect_timeout = redis_url, connect_timeout
        self.heard = False  # is there a subscription now?

    async def listen(self, tell: Callable[[str | None], None]) -> None:
        """Tell the id of each scan that has ended, until cancelled; None: some may have been missed."""
        told = False
        while True:
            try:
                await self._subscribed(tell)
            except (RedisError, OSError) as fault:
                if self.heard or not told:
                    telemetry.warn(Log.ENDS_NOT_HEARD, error=str(fault))
                    told = True
            finally:
                self.heard = False
            await asyncio.sleep(_AWAY_SECONDS)

    async def _subscribed(self, tell: Callable[[str | None], None]) -> None:
        once = Retry(NoBackoff(), 0)  # redis-py would subscribe anew by itself, and nobody know of what was missed
        patience = self._connect_timeout
        client = Redis.from_url(
            self._url, decode_responses=True, retry=once, socket_connect_timeout=patience, socket_timeout=patience
        )
        async with client, client.pubsub() as pubsub:
            await pubsub.subscribe(ENDED)
            await self._pass_on(pubsub, tell)

    async def _pass_on(self, pubsub: PubSub, tell: Callable[[str | None], None]) -> None:
        asked = False
        while True:
            message = await pubsub.get_message(timeout=_SILENCE)
            if message is None:
                if asked:
                    raise ConnectionLost(f"Redis has not said anything for {_SILENCE:g} s")
                await pubsub.ping()
            elif message["type"] == "subscribe":
                self.heard = True
                tell(None)
            elif message["type"] == "message":
                tell(message["data"])
            asked = message is None
