"""What operators ask for when signatures have changed: another look at what was promoted, at one file or at many."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.auth import Operator
from api.direct_uploads import whole
from api.once import OperatorsOnce, note_replay
from api.orders import ordered
from api.parts import PartsOf
from api.problems import documented
from api.scans import EXAMPLE_ID, UUID, Moment, ScanId, visible
from worker.rescans import MOST
from worker.store.rescans import Wanted
from worker.views import ScanView

router = APIRouter(prefix="/v1/scans", tags=["operations"])

_MOMENT = "2026-01-15T09:30:00Z"


class RescanRequest(BaseModel):
    """Which of the promoted files: those that meet all of it."""

    model_config = ConfigDict(extra="forbid")

    service: str | None = Field(None, pattern=r"^[\w.-]{1,64}$", description="Of this service.", examples=["avatars"])
    since: Moment | None = Field(None, description="Arrived at this moment or later.", examples=[_MOMENT])
    until: Moment | None = Field(None, description="Arrived before this moment.", examples=[_MOMENT])
    signatures_older_than: Moment | None = Field(
        None,
        description="Last seen by signatures that were made before this moment, or at a time that nobody knows.",
        examples=[_MOMENT],
    )
    cursor: str | None = Field(
        None, pattern=UUID, description="`next_cursor` of the answer before.", examples=[EXAMPLE_ID]
    )
    limit: Annotated[int, BeforeValidator(whole)] = Field(
        MOST, ge=1, le=MOST, strict=True, description="How many promoted files to pass, wanted or not.", examples=[MOST]
    )
    dry_run: bool = Field(False, strict=True, description="Only count them.", examples=[False])

    def wanted(self) -> Wanted:
        """The same for the store."""
        return Wanted(self.service, self.since, self.until, self.signatures_older_than)


class RescanAnswer(BaseModel):
    """A stretch of the way along all promoted files, in the order of their arrival."""

    count: int = Field(description="So many on it wait for their rescan from now on, or would.", examples=[2500])
    next_cursor: str | None = Field(
        description="Ask with this to go on, at any time; null at the end.", examples=[EXAMPLE_ID]
    )
    dry_run: bool = Field(description="Were they only counted?", examples=[False])


@router.post("/rescan", status_code=HTTPStatus.ACCEPTED, responses=documented())
async def rescan_scans(wanted: RescanRequest, request: Request, caller: Operator, parts: PartsOf) -> RescanAnswer:
    """Look at promoted files once more, behind all uploads: a stretch of them at a time. Safe to repeat: a file that
    waits for its rescan already is not counted, so that this takes no Idempotency-Key.

    Scope: `operate`."""
    after = wanted.cursor or ""
    if wanted.dry_run:
        found = await parts.in_thread(parts.rescans.count, wanted.wanted(), most=wanted.limit, after=after)
    else:
        order = ordered(request, caller)
        found = await parts.in_thread(parts.rescans.ask_all, wanted.wanted(), order, most=wanted.limit, after=after)
    return RescanAnswer(count=found.count, next_cursor=found.last, dry_run=wanted.dry_run)


@router.post(
    "/{scan_id}/rescan",
    status_code=HTTPStatus.ACCEPTED,
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def rescan_scan(
    scan_id: ScanId, request: Request, response: Response, caller: Operator, reservation: OperatorsOnce, parts: PartsOf
) -> ScanView:
    """Look at a promoted file once more. Its status changes only where malware is found: then it is recalled, and the
    next decision is `infected`. Scope: `operate`."""
    scan = visible(parts, caller, scan_id)
    note_replay(response, reservation)
    return ScanView.of(parts.rescans.ask(scan, ordered(request, caller), reservation))
