"""The promoted image, for looking at: only what was made anew in the sandbox, and never the bytes that somebody sent.

Served as a file of its own that may do nothing at all, should a browser ever take it for more than an image.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from api.dashboard.lookup import find
from api.dashboard.session import SignedIn
from api.parts import Parts, PartsOf
from api.problems import Problem
from worker.errors import ContentChanged, ObjectMissing
from worker.scan import PROMOTED, Promoted, Scan

router = APIRouter(include_in_schema=False)
LARGEST = 20_000_000  # bytes
_SHOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"})  # by every browser
_HEADERS = {
    "Content-Disposition": "inline",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "no-store",
}


def can_be_shown(scan: Scan) -> bool:
    """Is what was promoted an image of our own making? An original that was kept, or released, has its SHA-256."""
    made = scan.promoted
    return (
        scan.status in PROMOTED
        and made is not None
        and made.sha256 != scan.sha256
        and made.type in _SHOWN
        and made.size <= LARGEST
    )


@router.get("/scans/{scan_id}/picture")
async def picture(scan_id: str, _session: SignedIn, parts: PartsOf) -> Response:
    """The image itself, in bounded memory; 404 where there is none that may be shown."""
    scan = await parts.in_thread(find, parts, scan_id)
    if scan.promoted is None or not can_be_shown(scan):
        raise _nothing()
    try:
        chunks = await parts.in_store_thread(_opened, parts, scan.promoted)
    except (ObjectMissing, ContentChanged) as fault:  # erased meanwhile, or somebody else's doing
        raise _nothing() from fault
    headers = _HEADERS | {"Content-Length": str(scan.promoted.size)}
    return StreamingResponse(_sent(parts, chunks), media_type=scan.promoted.type, headers=headers)


def _nothing() -> Problem:
    expected = "a scan whose promoted object is an image that was made anew"
    return Problem(HTTPStatus.NOT_FOUND, "no_picture", "There is no picture to show.", expected=expected)


def _opened(parts: Parts, made: Promoted) -> Generator[bytes, None, None]:
    """The object in chunks, the first of which is here. Raises `ObjectMissing`, `ContentChanged` and what the store
    raises."""
    found = parts.objects.head(made.bucket, made.key)
    if found is None:
        raise ObjectMissing
    if (found.size, found.metadata.get("sha256")) != (made.size, made.sha256):
        raise ContentChanged
    chunks = parts.objects.fetch(made.bucket, made.key, found.etag)
    return _from(next(chunks, b""), chunks)


def _from(first: bytes, others: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield first
    yield from others


async def _sent(parts: Parts, chunks: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    try:
        while chunk := await parts.in_store_thread(next, chunks, b""):
            yield chunk
    finally:
        chunks.close()
