"""`Idempotency-Key`: a request that may be sent again. For a route, one parameter: `claim: Once`, or `OperatorsOnce`.

A route that reads no file asks `claim.replay(fields)` first and hands `claim` to its use case, which calls `claim.bind`
in the transaction that accepts the request. Whatever the route raises, the key is free again before it is answered.
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
from worker.idempotency import UNCLAIMED, Claim
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
async def _claimed(request: Request, caller: Caller, idempotency_key: str | None) -> AsyncIterator[Claim]:
    if idempotency_key is None:
        yield UNCLAIMED
        return
    if len(request.headers.getlist(_NAME)) > 1:  # a proxy would join them: that is not a key either
        detail, expected = f"The request has more than one {_NAME}.", f"one header {_NAME}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, expected=expected)
    parts = await of(request)
    route = f"{request.method} {request.scope['route'].path}"
    lease = timedelta(seconds=parts.settings.receive_lease)
    claimed = await parts.in_thread(idempotency.claim, parts.database, caller.service, idempotency_key, route, lease)
    try:
        yield claimed
    except BaseException:  # also a request that is cancelled
        await asyncio.shield(parts.in_thread(claimed.release))
        raise


async def _submitters(request: Request, caller: Submitter, idempotency_key: _Key = None) -> AsyncIterator[Claim]:
    async with _claimed(request, caller, idempotency_key) as claim:
        yield claim


async def _operators(request: Request, caller: Operator, idempotency_key: _Key = None) -> AsyncIterator[Claim]:
    async with _claimed(request, caller, idempotency_key) as claim:
        yield claim


Once = Annotated[Claim, Depends(_submitters)]
OperatorsOnce = Annotated[Claim, Depends(_operators)]


def note_replay(response: Response, claim: Claim) -> None:
    """Say so where the request had been accepted before."""
    if claim.is_bound:
        response.headers.update(REPLAYED)
