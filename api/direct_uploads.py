"""Files that go straight into the object store: a form for one, and the word that one is there."""

from __future__ import annotations

import json
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.admission import Admitted
from api.auth import Submitter
from api.forms import storable
from api.once import Once, note_replay
from api.parts import Parts, PartsOf
from api.problems import Problem, documented
from worker.direct_uploads import Announced
from worker.idempotency import Reservation
from worker.services import Caller
from worker.views import ScanView

router = APIRouter(prefix="/v1", tags=["uploads"])

_PROBLEMS = documented(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)

_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"  # https://www.rfc-editor.org/rfc/rfc6838#section-4.2
_PARAMETER = r" ?; ?[A-Za-z0-9_.+-]{1,64}=(?:[A-Za-z0-9_.+:-]{1,128}|\"[A-Za-z0-9 _.,:;/+=-]{0,128}\")"
MediaType = Annotated[str, Field(max_length=255, pattern=rf"^{_NAME}/{_NAME}(?:{_PARAMETER}){{0,8}}$")]
Metadata = Annotated[
    dict[str, Any], Field(description="A JSON object; comes back on the scan, as it is.", examples=[{"album": 7}])
]
_KEY = "incoming/avatars/photo.jpg"


def whole(value: Any) -> Any:
    """JSON knows one kind of number: 12345.0 is an integer there as well (JSON Schema, 2020-12, 4.2.3)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class PromiseRequest(BaseModel):
    """The file that is to come."""

    model_config = ConfigDict(extra="forbid")

    filename: str = Field(description="What the file is called.", examples=["photo.jpg"])
    content_type: MediaType = Field(examples=["image/jpeg"])
    size: Annotated[int, BeforeValidator(whole)] = Field(
        ge=1, description="In bytes, exactly.", strict=True, examples=[12345]
    )
    metadata: Metadata = {}


class PromiseView(BaseModel):
    """The scan, and the form: POST `fields` and then the file, as multipart/form-data, to `url`."""

    scan: ScanView
    url: str = Field(examples=["https://store.example/quarantine"])
    fields: dict[str, str] = Field(
        description="Every one of them, as it is, before the field `file`.",
        examples=[{"key": _KEY, "policy": "eyJleHBpcmF0aW9uIjog", "x-amz-signature": "5f7c"}],
    )
    key: str = Field(description="What `POST /v1/scans` is told once the file is there.", examples=[_KEY])
    expires_at: datetime = Field(description="Until then the form works.", examples=["2026-01-15T10:30:00Z"])


class ScanRequest(BaseModel):
    """An object in quarantine."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(description="Where it lies.", examples=[_KEY])
    filename: str | None = Field(None, description="Else the last part of the key.", examples=["photo.jpg"])
    content_type: MediaType | None = Field(None, description="Else none was declared.", examples=["image/jpeg"])
    metadata: Metadata = {}


@router.post(
    "/uploads/presigned",
    status_code=HTTPStatus.CREATED,
    responses=_PROBLEMS,
    dependencies=[Admitted],
)
def promise_upload(
    wanted: PromiseRequest, request: Request, response: Response, caller: Submitter, reservation: Once, parts: PartsOf
) -> PromiseView:
    """A form by which a client sends one file straight into quarantine: of this size and type, and for a while.

    Scope: `submit`."""
    metadata = _checked(wanted.metadata, parts)
    announced = _announced(request, caller, wanted.filename, wanted.content_type, metadata, reservation)
    note_replay(response, reservation)
    promise = parts.direct_uploads.promise(announced, wanted.size)
    return PromiseView(
        scan=ScanView.of(promise.scan),
        url=promise.form.url,
        fields=dict(promise.form.fields),
        key=promise.key,
        expires_at=promise.expires_at,
    )


@router.post(
    "/scans",
    status_code=HTTPStatus.ACCEPTED,
    responses=_PROBLEMS | documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
async def scan_object(
    wanted: ScanRequest, request: Request, response: Response, caller: Submitter, reservation: Once, parts: PartsOf
) -> ScanView:
    """Have an object scanned that lies under `incoming/` and the service's name. Safe to repeat: the same object is the
    same scan. A promised one keeps what was said of it when it was promised.

    Scope: `submit`."""
    metadata, name = _checked(wanted.metadata, parts), wanted.filename or wanted.key.rpartition("/")[2]
    announced = _announced(request, caller, name, wanted.content_type, metadata, reservation)
    note_replay(response, reservation)
    return ScanView.of(await parts.in_store_thread(parts.direct_uploads.enqueue, wanted.key, announced))


def _checked(metadata: dict[str, Any], parts: Parts) -> dict[str, Any]:
    """The same, if every database can hold it. Raises `Problem`."""
    longest = parts.settings.max_metadata_bytes
    try:
        text = json.dumps(metadata, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if len(text) <= longest:
            return storable(text)
        detail = f"`metadata` is longer than {longest} bytes."
    except (ValueError, RecursionError) as fault:
        detail = f"`metadata` {fault}."
    expected = f"a JSON object of at most {longest} bytes"
    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, expected=expected)


def _announced(
    request: Request,
    caller: Caller,
    filename: str,
    declared_type: str | None,
    metadata: dict[str, Any],
    reservation: Reservation,
) -> Announced:
    request_id = request.state.request_id
    return Announced(caller.service, caller.actor, request_id, filename, declared_type, metadata, reservation)
