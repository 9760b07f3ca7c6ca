"""Redis as Celery reads it, less trusting: a message that Celery has not sent ends the worker's main process, since
kombu decodes it outside of everything that catches (`Channel._brpop_read`). Here it is dropped."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

from worker import telemetry
from worker.telemetry import Log

_MALFORMED = (ValueError, LookupError, TypeError, AttributeError)  # a connection's faults are none of these


class _Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> bool:
        """What this fails with is no longer in Redis."""
        try:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]  # kombu has no types
        except _MALFORMED as fault:
            _told(fault)
            return True

    def basic_consume(self, queue: str, *arguments: Any, **options: Any) -> Any:
        """What `callback` fails with waits for its acknowledgement, in a place that another message could have."""
        callback = options.pop("callback")

        def careful(message: Any) -> None:
            try:
                callback(message)
            except _MALFORMED as fault:
                _told(fault)
                message.reject()

        return super().basic_consume(queue, *arguments, callback=careful, **options)


class Transport(redis.Transport):
    """Redis, with such channels."""

    Channel = _Channel


def _told(fault: Exception) -> None:
    telemetry.alarm(Log.MESSAGE_DROPPED, error=f"{type(fault).__name__}: no message of ours")


def install() -> None:
    """Have Celery use it for redis:// and rediss://. As a setting it would lose what kombu knows of the latter."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}"))
