"""`Idempotency-Key`: a request that may be sent again. A route has one parameter for it, `reservation: Once` or
`OperatorsOnce`.

A route that reads no file asks `reservation.replay(fields)` first and hands `reservation` to its use case, which calls
`reservation.bind` in the transaction that accepts the request. Whatever the route raises, the key is free again before
it is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from api.auth import Operator, Submitter
from api.parts import of
from api.problems import Problem
from worker import idempotency
from worker.idempotency import UNRESERVED, Reservation
from worker.services import Caller

REPLAYED = {"Idempotency-Replayed": "true"}  # on the answer to a request that had been accepted before
_NAME = "Idempotency-Key"
_Key = Annotated[
    str | None,
    Header(
        alias=_NAME,
        pattern="^[!-~]{1,255}$",
        description="Drawn at random by the client, for a request that it may send again: visible ASCII characters. "
        "The same request with the same key leads to the same scan, for 24 hours.",
        examples=["7f3c2a52-7bb0-4f0b-9d0e-5f3f0c2f6a11"],
    ),
]


@asynccontextmanager
async def _reserved(request: Request, caller: Caller, idempotency_key: str | None) -> AsyncIterator[Reservation]:
    if idempotency_key is None:
        yield UNRESERVED
        return
    if len(request.headers.getlist(_NAME)) > 1:  # a proxy would join them: that is not a key either
        detail, expected = f"The request has more than one {_NAME}.", f"one header {_NAME}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, expected=expected)
    parts = await of(request)
    route = f"{request.method} {request.scope['route'].path}"
    lease = timedelta(seconds=parts.settings.receive_lease)
    reserved = await parts.in_thread(idempotency.reserve, parts.database, caller.service, idempotency_key, route, lease)
    try:
        yield reserved
    except BaseException:  # also a request that is cancelled
        await asyncio.shield(parts.in_thread(reserved.release))
        raise


async def _submitters(request: Request, caller: Submitter, idempotency_key: _Key = None) -> AsyncIterator[Reservation]:
    async with _reserved(request, caller, idempotency_key) as reservation:
        yield reservation


async def _operators(request: Request, caller: Operator, idempotency_key: _Key = None) -> AsyncIterator[Reservation]:
    async with _reserved(request, caller, idempotency_key) as reservation:
        yield reservation


Once = Annotated[Reservation, Depends(_submitters)]
OperatorsOnce = Annotated[Reservation, Depends(_operators)]


def note_replay(response: Response, reservation: Reservation) -> None:
    """Say so where the request had been accepted before."""
    if reservation.is_bound:
        response.headers.update(REPLAYED)
