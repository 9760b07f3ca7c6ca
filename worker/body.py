"""The body of an upload as it comes in: not too large, and not too slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from worker.errors import LazarettoError

_SLOWEST = 1024  # bytes a second, on average: who drips holds a connection, a row and a lease


class FileTooLarge(LazarettoError):
    """The file is larger than the policy allows."""

    code = "file_too_large"


class UploadStalled(LazarettoError):
    """The upload sent nothing, or next to nothing, for too long; it can be sent again."""

    code = "upload_stalled"
    retryable = True
    expected = f"a body without long pauses, of {_SLOWEST} bytes a second at least"


class Body:
    """The bytes of one file, chunk by chunk."""

    def __init__(
        self, stream: AsyncIterator[bytes], *, announced: int | None, max_size: int, idle_timeout: float
    ) -> None:
        """`announced`: bytes, where the client said so. `idle_timeout`: seconds. Raises `FileTooLarge`."""
        self._stream, self._max_size, self._idle_timeout = stream, max_size, idle_timeout
        self._size = 0
        self._waited = 0.0  # seconds, for the client alone
        check_size(announced or 0, max_size)

    async def next(self) -> bytes:
        """The next bytes; empty at the end. Raises `FileTooLarge`, `UploadStalled` and whatever the stream does."""
        begun, left = time.monotonic(), self._idle_timeout + self._size / _SLOWEST - self._waited
        try:
            async with asyncio.timeout(min(self._idle_timeout, left)):
                async for chunk in self._stream:
                    if chunk:
                        self._waited += time.monotonic() - begun
                        self._size += len(chunk)
                        check_size(self._size, self._max_size)
                        return chunk
        except TimeoutError:
            message = f"The upload sent too little for too long, {self._size} bytes so far; it can be sent again."
            raise UploadStalled(message) from None
        return b""


def check_size(size: int, limit: int) -> None:
    """Raises `FileTooLarge` where a file of `size` bytes is larger than `limit`."""
    if size > limit:
        raise FileTooLarge(f"The file is larger than {limit} bytes.", expected=f"a file of at most {limit} bytes")
