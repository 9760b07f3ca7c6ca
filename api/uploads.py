"""Uploads: streamed into quarantine, answered with 202 once they are safe there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor

from api.admission import Admitted
from api.auth import Submitter
from api.forms import UploadForm
from api.limits import counted
from api.once import REPLAYED, Once
from api.parts import Parts, PartsOf
from api.problems import documented
from worker.body import UploadStalled
from worker.idempotency import Reservation
from worker.instruments import Way
from worker.intake import Incoming
from worker.services import Caller
from worker.views import ScanView


class _Anything(StringConvertor):
    """The rest of a path, whatever it holds: Starlette's own `path` stops at a line break."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())
router = APIRouter(prefix="/v1/uploads", tags=["uploads"])

_RESPONSES = documented(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
)
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "additionalProperties": False,
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "The file; its part has name and type."},
            "metadata": {
                "type": "object",
                "description": "Comes back on the scan, as it is. At most 16 KiB of JSON and 32 levels.",
                "examples": [{"album": 7}],
            },
        },
    },
    "encoding": {"metadata": {"contentType": "application/json"}},
}


_Filename = Annotated[str, Path(description="What the file is called; `/` and all.", examples=["photo.jpg"])]


def _body(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: content}}}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses=_RESPONSES,
    openapi_extra=_body("multipart/form-data", _FORM),
    dependencies=[Admitted],
)
async def upload_form(
    request: Request, response: Response, caller: Submitter, reservation: Once, parts: PartsOf
) -> ScanView:
    """Upload a file as a form: field `file`, and optionally `metadata`, a JSON object. Scope: `submit`."""
    kind = request.headers.get("content-type", "")
    stream = _counted(request, caller, reservation, parts)
    form = UploadForm(kind, stream, parts.settings.max_metadata_bytes)
    await _in_time(form.open(), parts.settings.upload_idle_timeout)
    incoming = _incoming(request, caller, Way.FORM, form.filename, form.declared_type, None)
    return await _receive(parts, incoming, form.body(), form.metadata, reservation, response)


@router.put(
    "/{filename:anything}",
    status_code=HTTPStatus.ACCEPTED,
    responses=_RESPONSES,
    openapi_extra=_body("application/octet-stream", _BINARY),
    dependencies=[Admitted],
)
async def upload_raw(
    filename: _Filename, request: Request, response: Response, caller: Submitter, reservation: Once, parts: PartsOf
) -> ScanView:
    """Upload a file as the body itself. The name is recorded, and never a path: anything goes. Scope: `submit`."""
    incoming = _incoming(request, caller, Way.RAW, filename, request.headers.get("content-type"), _announced(request))
    return await _receive(parts, incoming, _counted(request, caller, reservation, parts), dict, reservation, response)


def _announced(request: Request) -> int | None:
    """How many bytes the body has, where the client says so."""
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isascii() and announced.isdigit() else None


def _counted(request: Request, caller: Caller, reservation: Reservation, parts: Parts) -> AsyncIterator[bytes]:
    """The body, counted against the service's quota: once, however often it is sent to hear of its scan."""
    if reservation.is_bound:
        return request.stream()
    return counted(parts, caller.service, _announced(request), request.stream())


async def _in_time(head: Coroutine[Any, Any, None], seconds: float) -> None:
    """What comes before the file is small, and must come at once; intake watches over the rest."""
    try:
        async with asyncio.timeout(seconds):
            await head
    except TimeoutError:
        raise UploadStalled from None


def _incoming(
    request: Request, caller: Caller, way: Way, filename: str, declared: str | None, size: int | None
) -> Incoming:
    return Incoming(
        service=caller.service,
        actor=caller.actor,
        filename=filename,
        declared_type=declared,
        size=size,
        request_id=request.state.request_id,
        way=way,
    )


async def _receive(
    parts: Parts,
    incoming: Incoming,
    stream: AsyncIterator[bytes],
    metadata: Callable[[], dict[str, Any]],
    reservation: Reservation,
    response: Response,
) -> ScanView:
    if not reservation.is_bound:
        return ScanView.of(await parts.intake.receive(incoming, stream, metadata, reservation))
    scan = await parts.intake.replay(incoming, stream, metadata, reservation)
    response.headers.update(REPLAYED)
    return ScanView.of(scan)
