"""What anybody may ask for, and takes work to find out: found once, and kept for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """A flood of requests costs no more than one: whoever comes while it is looked for waits for the same."""

    def __init__(self, seconds: float) -> None:
        """How long it is kept, from the beginning of the look."""
        self._seconds = seconds
        self._looking: asyncio.Task[T] | None = None
        self._begun = 0.0

    async def get(self, look: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `look` finds, or found a moment ago. Raises what it raises."""
        now, looking = time.monotonic(), self._looking
        if looking is None or (looking.done() and now >= self._begun + self._seconds):
            self._looking = looking = asyncio.create_task(look())
            self._begun = now
        return await asyncio.shield(looking)  # who hangs up takes it from nobody else
