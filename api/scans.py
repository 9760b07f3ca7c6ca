"""Reading scans: one, many, their events, and the way to the promoted bytes."""

from __future__ import annotations

import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from api.auth import Reader, Submitter
from api.parts import Parts, PartsOf
from api.problems import Problem, documented
from api.views import EventPage, EventView, ScanDetails, ScanPage
from worker import media_types
from worker.operations import Order
from worker.scan import PROMOTED, Mover, Scan, Status
from worker.services import Caller, Scope
from worker.store import events, listing, scans
from worker.views import ScanView

router = APIRouter(prefix="/v1/scans", tags=["scans"])

EXAMPLE_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
EXAMPLE_ID = "0199c3d2-7c1f-7a52-9b1e-4d5f60718293"
ScanId = Annotated[str, Path(max_length=64, description="The scan's id.", examples=[EXAMPLE_ID])]
SHA256 = "^[0-9a-f]{64}$"
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_LONGEST_NAME = 150  # characters of a download's name; file systems take 255 bytes
_FIRST_YEAR, _LAST_YEAR = 1971, 9998
_DELETED = frozenset({Status.INFECTED, Status.REJECTED, Status.EXPIRED, Status.ERASED})


def in_our_time(moment: datetime) -> datetime:
    """The moment, if every part of the system can hold it. Raises `ValueError` otherwise."""
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"expected a year from {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


Moment = Annotated[
    AwareDatetime,
    AfterValidator(in_our_time),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^(197[1-9]|19[89]\d|[2-8]\d{3}|9[0-8]\d{2}|99[0-8]\d|999[0-8])-",
            "examples": ["2026-01-15T09:30:00Z"],
        }
    ),
]


def _recordable(text: str) -> str:
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("expected text without NUL and halves of surrogate pairs, which no record has")
    return text


Line = Annotated[str, AfterValidator(_recordable)]


class ListQuery(BaseModel):
    """What a list is narrowed to."""

    model_config = ConfigDict(extra="forbid")

    id: list[Annotated[str, Field(pattern=UUID)]] = Field(
        [], max_length=200, description="One of these scans.", examples=[[EXAMPLE_ID]]
    )
    status: list[Status] = Field(
        [], max_length=len(Status), description="In one of these states.", examples=[[Status.CLEAN]]
    )
    service: str | None = Field(None, pattern=r"^[\w.-]{1,64}$", description="Of this service.", examples=["avatars"])
    sha256: str | None = Field(
        None, pattern=SHA256, description="Of this very content, in hex.", examples=[EXAMPLE_SHA256]
    )
    since: Moment | None = Field(None, description="Arrived at this moment or later.")
    until: Moment | None = Field(None, description="Arrived before this moment.")
    reason: str | None = Field(
        None,
        pattern=r"^[a-z0-9_]{1,64}$",
        description="With this code among its reasons, or as the error that it failed with.",
        examples=["type_mismatch"],
    )
    signature: Line | None = Field(
        None, min_length=1, max_length=255, description="With this very signature.", examples=["Eicar-Test-Signature"]
    )
    type: str | None = Field(
        None,
        pattern=r"^[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}$",
        description="Of this type, as detected.",
        examples=["image/jpeg"],
    )
    name: Line | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="Whose file's name begins so; capital letters count.",
        examples=["holiday"],
    )
    cursor: str | None = Field(
        None, pattern=UUID, description="`next_cursor` of the page before.", examples=[EXAMPLE_ID]
    )
    limit: int = Field(50, ge=1, le=200, description="How many scans on one page, at most.", examples=[50])

    def wanted(self, service: str | None) -> scans.Filter:
        """As the store has it; `service`: of those that the caller sees."""
        return scans.Filter(
            ids=tuple(self.id),
            statuses=tuple(dict.fromkeys(self.status)),
            service=service,
            sha256=self.sha256,
            since=self.since,
            until=self.until,
            reason=self.reason,
            signature=self.signature,
            type=self.type,
            name=self.name,
        )


@router.get("", responses=documented())
def list_scans(query: Annotated[ListQuery, Query()], caller: Reader, parts: PartsOf) -> ScanPage:
    """Scans, newest first. A service sees its own, whatever it asks for. Scope: `read`.

    A page may be shorter than its limit, also empty, where few scans meet several conditions at once: `next_cursor`
    leads on, and is null at the end.
    """
    service = query.service if caller.sees("") else caller.service
    if query.service not in (None, service):
        return ScanPage(items=[], next_cursor=None)
    with parts.database.read() as connection:
        page = listing.page(connection, query.wanted(service), before=query.cursor, limit=query.limit)
    return ScanPage(items=[ScanView.of(scan) for scan in page.items], next_cursor=page.next_cursor)


@router.get("/{scan_id}", responses=documented(HTTPStatus.NOT_FOUND))
async def get_scan(
    scan_id: ScanId,
    caller: Reader,
    parts: PartsOf,
    wait: Annotated[
        float, Query(ge=0, le=60, description="Seconds to wait for the end of the scan.", examples=[0.5])
    ] = 0,
) -> ScanDetails:
    """One scan. With `wait`, answers as soon as the scan has ended, or after that time. Scope: `read`."""

    async def read() -> Scan:
        return await parts.in_thread(visible, parts, caller, scan_id)

    return ScanDetails.of(await (parts.waiting.until_ended(scan_id, wait, read) if wait else read()))


@router.delete("/{scan_id}", status_code=HTTPStatus.NO_CONTENT, responses=documented(HTTPStatus.NOT_FOUND))
async def erase_scan(scan_id: ScanId, request: Request, caller: Submitter, parts: PartsOf) -> None:
    """Erase the bytes, wherever they are and at any status; the record stays. Safe to repeat. Scope: `submit`."""
    await parts.in_store_thread(_erase, parts, caller, scan_id, request.state.request_id)


def _erase(parts: Parts, caller: Caller, scan_id: str, request_id: str) -> None:
    scan = visible(parts, caller, scan_id)
    mover = Mover.SERVICE if scan.service == caller.service else Mover.OPERATOR
    try:
        parts.operations.erase(scan, Order(caller.actor, mover, request_id))
    finally:  # it has ended, also where the store is away
        parts.hints.ended(scan.service, scan.id)


@router.get("/{scan_id}/events", responses=documented(HTTPStatus.NOT_FOUND))
def get_events(scan_id: ScanId, caller: Reader, parts: PartsOf) -> EventPage:
    """Every transition of a scan, oldest first. Scope: `read`."""
    visible(parts, caller, scan_id)
    with parts.database.read() as connection:
        return EventPage(items=[EventView.of(event) for event in events.of(connection, scan_id)])


@router.get(
    "/{scan_id}/content",
    status_code=HTTPStatus.TEMPORARY_REDIRECT,
    response_class=RedirectResponse,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE),
)
def get_content(scan_id: ScanId, caller: Reader, parts: PartsOf) -> RedirectResponse:
    """The way to the promoted object: an address that works for a short time. Scope: `read`."""
    scan = visible(parts, caller, scan_id)
    if scan.status in _DELETED:
        detail = f"The bytes of this scan are deleted: it is {scan.status}."
        raise Problem(HTTPStatus.GONE, "deleted", detail, expected="a scan that is clean or released")
    if scan.status not in PROMOTED or scan.promoted is None:
        detail = f"Nothing is promoted: the scan is {scan.status}."
        waiting = not scan.status.ended
        raise Problem(
            HTTPStatus.CONFLICT, "not_promoted", detail, expected="a scan that is clean or released", retryable=waiting
        )
    url = parts.objects.download_url(
        scan.promoted.bucket,
        scan.promoted.key,
        disposition=_disposition(scan),
        media_type=media_types.served_as(scan.promoted.type),
        seconds=parts.settings.content_url_seconds,
    )
    return RedirectResponse(url, HTTPStatus.TEMPORARY_REDIRECT, headers={"Cache-Control": "no-store"})


def on_record(parts: Parts, scan_id: str) -> Scan | None:
    """The scan, whosever it is; what is no id at all does not get as far as the database."""
    if not re.fullmatch(UUID, scan_id):
        return None
    with parts.database.read() as connection:
        return scans.get(connection, scan_id)


def visible(parts: Parts, caller: Caller, scan_id: str) -> Scan:
    """The scan, if this caller may know of it. To another service it does not exist."""
    scan = on_record(parts, scan_id)
    if scan is None or not caller.sees(scan.service):
        expected = "the id of a scan" if Scope.OPERATE in caller.scopes else "the id of a scan of your own service"
        raise Problem(HTTPStatus.NOT_FOUND, "scan_not_found", f"There is no scan {scan_id!r}.", expected=expected)
    return scan


def _disposition(scan: Scan) -> str:
    """A download under the name it was uploaded with (RFC 6266), which no header can be broken with."""
    name = media_types.saved_as(scan.filename)
    extension = media_types.extension_of(name)
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME] + (f".{extension}" if extension else "")
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
