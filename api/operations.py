"""What operators do about scans that are held: try again, one or many, and release."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.auth import Operator
from api.direct_uploads import whole
from api.once import OperatorsOnce, note_replay
from api.orders import ordered
from api.parts import PartsOf
from api.problems import documented
from api.scans import EXAMPLE_ID, EXAMPLE_SHA256, SHA256, UUID, Moment, ScanId, visible
from worker import clock
from worker.operations import Operations, Order
from worker.scan import HELD, Status
from worker.store import scans
from worker.views import ScanView

router = APIRouter(prefix="/v1/scans", tags=["operations"])

MOST = 10_000  # scans of one call
_MOMENT = "2026-01-15T09:30:00Z"
_PROBLEMS = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)

Held = Literal["failed", "unscannable"]
_Several = Annotated[list[Held], Field(max_length=len(HELD))]
# Control characters, line breaks, and what hides text or turns its direction: an operator reads this, in terminals too.
_UNSEEN = r"\u0000-\u001F\u007F-\u00A0\u00AD\u061C\u180E\u200B-\u200F\u2028-\u202F\u205F-\u206F\uFEFF\uFFF9-\uFFFB"
_WORDS = f"^ *[^ {_UNSEEN}][^{_UNSEEN}]*$"


def _listed(status: object) -> object:
    """One is as good as a list of one; whatever is wrong with it is said of it alone."""
    return [status] if isinstance(status, str) else status


class ReleaseRequest(BaseModel):
    """Why it may pass."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(
        max_length=1000,
        pattern=_WORDS,
        description="In your own words; on record for good, with who you are.",
        examples=["The sender told us the password, and we have looked inside."],
    )


class RetryRequest(BaseModel):
    """Which scans: those that meet all of it."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[_Several, BeforeValidator(_listed, json_schema_input_type=Held | _Several)] = Field(
        [], description="In this state, or one of these; nothing means `failed`.", examples=[["failed"]]
    )
    service: str | None = Field(None, pattern=r"^[\w.-]{1,64}$", description="Of this service.", examples=["avatars"])
    reason: str | None = Field(
        None,
        pattern="^[a-z0-9_]{1,64}$",
        description="With this code among its reasons, or as its error.",
        examples=["scanner_failed"],
    )
    sha256: str | None = Field(
        None, pattern=SHA256, description="Of this very content, in hex.", examples=[EXAMPLE_SHA256]
    )
    since: Moment | None = Field(None, description="Arrived at this moment or later.", examples=[_MOMENT])
    until: Moment | None = Field(None, description="Arrived before this moment.", examples=[_MOMENT])
    ended_before: Moment | None = Field(
        None,
        description="Ended before this moment; else before now. Who goes on while something remains sends that of the "
        "first answer, so that nothing that fails again meanwhile is put back twice.",
        examples=[_MOMENT],
    )
    ids: list[Annotated[str, Field(pattern=UUID)]] = Field(
        [],
        max_length=200,
        description="One of these scans; with any `status`, unless one is given.",
        examples=[[EXAMPLE_ID]],
    )
    limit: Annotated[int, BeforeValidator(whole)] = Field(
        MOST, ge=1, le=MOST, strict=True, description="How many, at most.", examples=[MOST]
    )
    dry_run: bool = Field(False, strict=True, description="Only count them.", examples=[False])

    def filter(self) -> scans.Filter:
        """The same for the store."""
        given = [Status(each) for each in self.status]
        statuses: Iterable[Status] = given or (sorted(HELD) if self.ids else [Status.FAILED])
        return scans.Filter(
            tuple(self.ids),
            tuple(statuses),
            self.service,
            self.sha256,
            self.since,
            self.until,
            reason=self.reason,
        )


class RetryAnswer(BaseModel):
    """What a call has put back, and what is left for the next."""

    count: int = Field(description="So many are back in line, or would be.", examples=[10000])
    remaining: int = Field(description="So many more there are: go on while it is not 0.", examples=[2500])
    ended_before: datetime = Field(description="For the next call.", examples=[_MOMENT])
    dry_run: bool = Field(description="Were they only counted?", examples=[False])


@router.post("/retry", status_code=HTTPStatus.ACCEPTED, responses=documented())
async def retry_scans(wanted: RetryRequest, request: Request, caller: Operator, parts: PartsOf) -> RetryAnswer:
    """Try files again that are held, behind everything that comes in meanwhile. Safe to repeat:
    each is put back once, so that it takes no Idempotency-Key.

    Scope: `operate`."""
    return await parts.in_store_thread(_retry_all, parts.operations, wanted, ordered(request, caller))


def _retry_all(operations: Operations, wanted: RetryRequest, order: Order) -> RetryAnswer:
    chosen, before = wanted.filter(), wanted.ended_before or clock.now()
    if wanted.dry_run:
        found = operations.count(chosen, before)
        count = min(found, wanted.limit)
        return RetryAnswer(count=count, remaining=found - count, ended_before=before, dry_run=True)
    count = operations.retry_all(chosen, order, most=wanted.limit, ended_before=before)
    return RetryAnswer(count=count, remaining=operations.count(chosen, before), ended_before=before, dry_run=False)


@router.post("/{scan_id}/retry", status_code=HTTPStatus.ACCEPTED, responses=_PROBLEMS)
def retry_scan(
    scan_id: ScanId, request: Request, response: Response, caller: Operator, reservation: OperatorsOnce, parts: PartsOf
) -> ScanView:
    """Try a file again that is `failed` or `unscannable`, as if it had just come. Scope: `operate`."""
    scan = visible(parts, caller, scan_id)
    note_replay(response, reservation)
    return ScanView.of(parts.operations.retry(scan, ordered(request, caller), reservation))


@router.post("/{scan_id}/release", status_code=HTTPStatus.ACCEPTED, responses=_PROBLEMS)
def release_scan(
    scan_id: ScanId,
    wanted: ReleaseRequest,
    request: Request,
    response: Response,
    caller: Operator,
    reservation: OperatorsOnce,
    parts: PartsOf,
) -> ScanView:
    """Promote a file that could not be proven clean, as it was uploaded. Scope: `operate`."""
    scan = visible(parts, caller, scan_id)
    note_replay(response, reservation)
    return ScanView.of(parts.operations.release(scan, ordered(request, caller, wanted.reason.strip()), reservation))
