"""Writes a stream into the quarantine bucket: hashed on the way, never whole in memory or on disk."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from worker.adapters.object_store import ObjectStore
from worker.scan import Content


class QuarantineWriter:
    """One object, written chunk by chunk: in one call where it fits into a part, as a multipart upload otherwise.

    One part is on its way to the store while the next is being received; that is all the memory it takes.
    """

    def __init__(self, objects: ObjectStore, bucket: str, key: str, part_size: int) -> None:
        """`part_size` in bytes."""
        self.key = key
        self.size = 0
        self._in_parts = False
        self._upload = ""
        self._objects, self._bucket, self._part_size = objects, bucket, part_size
        self._hash = hashlib.sha256()
        self._buffer = bytearray()
        self._parts: list[str] = []
        self._sending: asyncio.Task[Any] | None = None

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises `StoreUnavailable`."""
        self._buffer += chunk
        self.size += len(chunk)
        if len(self._buffer) >= self._part_size:
            await self._sent()
            self._sending = asyncio.create_task(asyncio.to_thread(self._send_part, self._taken()))

    async def close(self) -> Content:
        """Write what is left and make it one object. Raises `StoreUnavailable`."""
        await self._sent()
        last = asyncio.create_task(asyncio.to_thread(self._send_last, self._taken()))
        self._sending = last
        etag = await asyncio.shield(last)
        return Content(self.key, self.size, self._hash.hexdigest(), etag)

    async def discard(self) -> None:
        """Leave nothing behind, also of a call that is still under way.

        Raises `StoreUnavailable`: then the sweeper will see to it.
        """
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)
        await asyncio.to_thread(self._remove)

    async def _sent(self) -> None:
        if self._sending is not None:
            await asyncio.shield(self._sending)  # or a request that is cancelled would take a call for ended
            self._sending = None

    def _taken(self) -> bytes:
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken

    def _send_part(self, part: bytes) -> None:
        self._hash.update(part)
        if not self._in_parts:
            self._in_parts = True
            self._upload = self._objects.begin(self._bucket, self.key)
        number = len(self._parts) + 1
        self._parts.append(self._objects.put_part(self._bucket, self.key, self._upload, number, part))

    def _send_last(self, rest: bytes) -> str:
        if not self._in_parts:
            self._hash.update(rest)
            return self._objects.put(self._bucket, self.key, rest)
        if rest:
            self._send_part(rest)
        return self._objects.complete(self._bucket, self.key, self._upload, self._parts, self.size)

    def _remove(self) -> None:
        if self._in_parts:  # also an upload that was begun and whose id never reached us
            self._objects.abort_all(self._bucket, self.key)
        self._objects.delete(self._bucket, self.key)
