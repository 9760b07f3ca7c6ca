"""Uploads that there is no room for are refused before a byte of theirs is read: `dependencies=[Admitted]`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Depends

from api.once import Once
from api.parts import PartsOf


async def _admitted(claim: Once, parts: PartsOf) -> AsyncIterator[None]:
    """Around the whole request. What was accepted before is answered, whatever waits. Raises `Overloaded`."""
    if claim.is_bound:
        yield
        return
    await parts.admission.begin()
    try:
        yield
    finally:
        parts.admission.end()


Admitted = Depends(_admitted)
