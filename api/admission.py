"""Uploads that there is no room for are refused before a byte of theirs is read: `dependencies=[Admitted]`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Depends, Request

from api.once import Once
from api.parts import of


async def _admitted(request: Request, reservation: Once) -> AsyncIterator[None]:
    """Around the whole request. What was accepted before is answered, whatever waits. Raises `Overloaded`."""
    if reservation.is_bound:
        yield
        return
    admission = (await of(request)).admission
    await admission.begin()
    try:
        yield
    finally:
        admission.end()


Admitted = Depends(_admitted)
