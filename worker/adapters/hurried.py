"""A connection with one deadline for everything: a time-out for each read would let a receiver drip for ever."""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpcore


def remaining(deadline: float) -> float:
    """Seconds until `deadline`, on the monotonic clock. Raises `TimeoutError` where there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class Hurried(httpcore.NetworkStream):
    """Another stream, each of whose calls ends by the deadline. Raises `TimeoutError` and what the other raises."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def hurry(self, seconds: float) -> None:
        """Let it end in so many seconds, if not sooner."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, remaining(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, remaining(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, remaining(self._deadline))
        return Hurried(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
