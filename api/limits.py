"""What a service's policy limits: counted before anything is done, and told in every answer.

The headers are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (draft 10).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.parts import Parts
from api.problems import Problem
from api.requests import ANSWER_HEADERS
from worker.policy import LimitPolicy
from worker.quotas import NeverWithinQuota, QuotaExceeded, Standing

_UNCOUNTED = 1024 * 1024  # bytes that an upload of unknown size may be ahead of its count


def count_request(request: Request, parts: Parts, service: str) -> None:
    """Count this request; its answer says how the service stands. Raises `Problem` where it is one too many."""
    standing = parts.quotas.take_request(service, parts.policies.of(service).limits)
    if standing is None:
        return
    setattr(request.state, ANSWER_HEADERS, _headers(standing))
    if not standing.taken:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "rate_limited",
            f"The service {service} sends too many requests.",
            expected=f"at most {standing.limit} requests in {standing.window} seconds",
            retryable=True,
            headers={"Retry-After": str(standing.reset)},
        )


async def counted(
    parts: Parts, service: str, announced: int | None, body: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The same bytes, counted against the service's quota: all of them before the first, where the client announced
    how many there are; else as they come. Raises `QuotaExceeded` and `NeverWithinQuota`."""
    limits = parts.policies.of(service).limits
    uncounted = announced or 0
    await _take(parts, service, limits, uncounted)
    uncounted = -uncounted
    try:
        async for chunk in body:
            uncounted += len(chunk)
            if uncounted >= _UNCOUNTED:
                await _take(parts, service, limits, uncounted)
                uncounted = 0
            yield chunk
    except ClientDisconnect:  # who hangs up has sent them all the same
        with suppress(QuotaExceeded, NeverWithinQuota):
            await _take(parts, service, limits, max(0, uncounted))
        raise
    await _take(parts, service, limits, max(0, uncounted))


async def _take(parts: Parts, service: str, limits: LimitPolicy, size: int) -> None:
    if limits.bytes_per_day is not None and size:
        await parts.in_thread(parts.quotas.take_bytes, service, limits, size)


def _headers(standing: Standing) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"requests";q={standing.limit};w={standing.window}',
        "RateLimit": f'"requests";r={standing.remaining};t={standing.reset}',
    }
