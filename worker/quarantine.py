"""Writes a stream into the quarantine bucket: hashed on the way, never whole in memory or on disk."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import Any

from worker.adapters.object_store import ObjectStore
from worker.scan import Content

_AT_ONCE = 2  # parts of one upload on their way to the store, which works on each with another core


class QuarantineWriter:
    """One object, written chunk by chunk: in one call where it fits into a part, as a multipart upload otherwise.

    Two parts are on their way to the store while the next is being received; that is all the memory it takes.
    """

    def __init__(self, objects: ObjectStore, bucket: str, key: str, part_size: int) -> None:
        """`part_size` in bytes."""
        self.key = key
        self.size = 0
        self._upload = ""
        self._objects, self._bucket, self._part_size = objects, bucket, part_size
        self._hash = hashlib.sha256()
        self._turn = asyncio.Lock()  # first come, first served: parts are hashed in their order
        self._buffer = bytearray()
        self._begun = 0  # parts
        self._etags: dict[int, str] = {}  # of those that the store has, by number
        self._sending: deque[asyncio.Task[Any]] = deque()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises `StoreUnavailable`."""
        self._buffer += chunk
        self.size += len(chunk)
        if len(self._buffer) >= self._part_size:
            await self._send()

    async def close(self) -> Content:
        """Write what is left and make it one object. Raises `StoreUnavailable`."""
        if self._begun and self._buffer:
            await self._send()
        await self._sent(but=0)
        last = asyncio.create_task(asyncio.to_thread(self._complete if self._begun else self._put_whole))
        self._sending.append(last)
        etag = await asyncio.shield(last)
        return Content(self.key, self.size, self._hash.hexdigest(), etag)

    async def discard(self) -> None:
        """Leave nothing behind, also of calls that are still under way.

        Raises `StoreUnavailable`: then the sweeper will see to it.
        """
        await asyncio.gather(*self._sending, return_exceptions=True)
        await asyncio.to_thread(self._remove)

    async def _send(self) -> None:
        await self._sent(but=_AT_ONCE - 1)
        self._begun += 1
        self._sending.append(asyncio.create_task(self._send_part(self._begun, self._taken())))

    async def _sent(self, *, but: int) -> None:
        """Wait until no more than `but` parts are under way. Raises what one of them raised."""
        while len(self._sending) > but:
            await asyncio.shield(self._sending[0])  # or a request that is cancelled would take a call for ended
            self._sending.popleft()

    def _taken(self) -> bytes:
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken

    async def _send_part(self, number: int, part: bytes) -> None:
        async with self._turn:
            await asyncio.to_thread(self._take_in, part)
        place = (self._bucket, self.key, self._upload)
        self._etags[number] = await asyncio.to_thread(self._objects.put_part, *place, number, part)

    def _take_in(self, part: bytes) -> None:
        self._hash.update(part)
        if not self._upload:
            self._upload = self._objects.begin(self._bucket, self.key)

    def _put_whole(self) -> str:
        whole = self._taken()
        self._hash.update(whole)
        return self._objects.put(self._bucket, self.key, whole)

    def _complete(self) -> str:
        etags = [self._etags[number] for number in sorted(self._etags)]
        return self._objects.complete(self._bucket, self.key, self._upload, etags, self.size)

    def _remove(self) -> None:
        if self._begun:  # also an upload that was begun and whose id never reached us
            self._objects.abort_all(self._bucket, self.key)
        self._objects.delete(self._bucket, self.key)
