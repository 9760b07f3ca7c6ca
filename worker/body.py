"""The body of an upload as it comes in: not too large, and not too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from worker.errors import LazarettoError


class FileTooLarge(LazarettoError):
    """The file is larger than the policy allows."""

    code = "file_too_large"


class UploadStalled(LazarettoError):
    """The upload sent nothing for too long; it can be sent again."""

    code = "upload_stalled"
    retryable = True
    expected = "a body without long pauses"


class Body:
    """The bytes of one file, chunk by chunk."""

    def __init__(
        self, stream: AsyncIterator[bytes], *, announced: int | None, max_size: int, idle_timeout: float
    ) -> None:
        """`announced`: bytes, where the client said so. `idle_timeout`: seconds. Raises `FileTooLarge`."""
        self._stream, self._max_size, self._idle_timeout = stream, max_size, idle_timeout
        self._size = 0
        check_size(announced or 0, max_size)

    async def next(self) -> bytes:
        """The next bytes; empty at the end. Raises `FileTooLarge`, `UploadStalled` and whatever the stream does."""
        try:
            async with asyncio.timeout(self._idle_timeout):
                async for chunk in self._stream:
                    if chunk:
                        self._size += len(chunk)
                        check_size(self._size, self._max_size)
                        return chunk
        except TimeoutError:
            message = f"The upload sent nothing for {self._idle_timeout:g} s; it can be sent again."
            raise UploadStalled(message) from None
        return b""


def check_size(size: int, limit: int) -> None:
    """Raises `FileTooLarge` where a file of `size` bytes is larger than `limit`."""
    if size > limit:
        raise FileTooLarge(f"The file is larger than {limit} bytes.", expected=f"a file of at most {limit} bytes")
