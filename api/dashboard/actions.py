"""What an operator has done about one scan: retry, rescan, release, erase. Works without scripts: a form, and back.

A form says which decision its page showed. Where somebody else has had the scan decided anew since, nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from api.dashboard.lookup import find
from api.dashboard.pages import page
from api.dashboard.scan_page import show
from api.dashboard.session import Confirmed, Session, SignedIn
from api.orders import ordered
from api.parts import Parts, PartsOf
from worker.errors import Internal, LazarettoError, NothingHeld, WrongStatus
from worker.operations import Order
from worker.scan import Scan, Status

router = APIRouter(include_in_schema=False)
LONGEST_REASON = 1000  # characters
Decision = Annotated[int, Form()]


@router.post("/scans/{scan_id}/retry")
async def retry(scan_id: str, request: Request, session: Confirmed, parts: PartsOf, decision: Decision) -> Response:
    """Examine it once more."""
    return await _done(parts.operations.retry, scan_id, request, session, parts, decision)


@router.post("/scans/{scan_id}/rescan")
async def rescan(scan_id: str, request: Request, session: Confirmed, parts: PartsOf, decision: Decision) -> Response:
    """Look at the promoted bytes with today's signatures."""
    return await _done(parts.rescans.ask, scan_id, request, session, parts, decision)


@router.post("/scans/{scan_id}/release")
async def release(
    scan_id: str,
    request: Request,
    session: Confirmed,
    parts: PartsOf,
    decision: Decision,
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Promote it although it could not be proven clean, for a reason."""
    reason = " ".join(reason.split())  # a text field sends line breaks
    if not 1 <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        told = f"A release needs a reason of 1 to {LONGEST_REASON} characters, all of them printable. Nothing was done."
        return await parts.in_thread(show, scan_id, request, session, parts, HTTPStatus.UNPROCESSABLE_ENTITY, told)
    return await _done(parts.operations.release, scan_id, request, session, parts, decision, reason)


@router.get("/scans/{scan_id}/erase")
def confirm_erasure(scan_id: str, request: Request, session: SignedIn, parts: PartsOf) -> Response:
    """What is going to be deleted; nothing is yet."""
    scan = find(parts, scan_id)
    return page(request, "erase.html", session, scan=scan, erased=scan.status is Status.ERASED)


@router.post("/scans/{scan_id}/erase")
async def erase(scan_id: str, request: Request, session: Confirmed, parts: PartsOf, decision: Decision) -> Response:
    """Delete its bytes, wherever they are."""

    def erased(scan: Scan, order: Order) -> Scan:
        try:
            return parts.operations.erase(scan, order)
        finally:  # it has ended, also where the store is away
            parts.hints.ended(scan.service, scan.id)

    return await _done(erased, scan_id, request, session, parts, decision)


async def _done(
    act: Callable[[Scan, Order], Scan],
    scan_id: str,
    request: Request,
    session: Session,
    parts: Parts,
    decision: int,
    reason: str | None = None,
) -> Response:
    """Have it done and go back to the scan's page; or that page at once, with what kept it from being done."""
    scan = await parts.in_thread(find, parts, scan_id)
    try:
        if scan.decision != decision:
            raise WrongStatus("The scan has been decided anew since this page was loaded.")
        order = ordered(request, session.caller, reason)
        await parts.in_store_thread(act, scan, order)
    except LazarettoError as fault:
        status, told = _told(fault)
        return await parts.in_thread(show, scan_id, request, session, parts, status, told)
    return RedirectResponse(f"/scans/{scan.id}", HTTPStatus.SEE_OTHER)


def _told(fault: LazarettoError) -> tuple[HTTPStatus, str]:
    """In the words of whoever refused, but for what names our addresses."""
    if isinstance(fault, WrongStatus | NothingHeld):
        expected = f" Expected: {fault.expected}." if fault.expected else ""
        return HTTPStatus.CONFLICT, f"Nothing was done. {fault.message}{expected}"
    told = fault.public if isinstance(fault, Internal) else fault.message
    return HTTPStatus.SERVICE_UNAVAILABLE, told
