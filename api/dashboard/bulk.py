"""Putting many held files back at once: how many first, then in requests of a bounded length, until none is left.

The first page only counts. What goes on by itself does so after a form of ours was sent, and never because an address
was opened. Whatever ends after the start is left alone: a file that fails again is not put back a second time.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from api.dashboard.narrowing import BadFilter, Narrowing
from api.dashboard.pages import page
from api.dashboard.session import CSRF_FIELD, Confirmed, SignedIn
from api.dashboard.whereabouts import LABELS
from api.orders import ordered
from api.parts import Parts, PartsOf
from api.problems import Problem
from api.scans import in_our_time
from worker import clock
from worker.operations import Order
from worker.scan import Status
from worker.store.scans import Filter

router = APIRouter(include_in_schema=False)
TICKED = "ticked"  # the button that is about what is ticked, and nothing else
AT_ONCE = 400  # scans of one request
_MOST = 2**53  # that anybody counts


class Run(BaseModel):
    """How far it has come; the page carries it from one request to the next."""

    model_config = ConfigDict(frozen=True)

    begun: Annotated[AwareDatetime, AfterValidator(in_our_time)]
    total: int = Field(ge=0, le=_MOST)  # that were counted first
    done: int = Field(0, ge=0, le=_MOST)

    def further(self, number: int) -> Self:
        """And so many more."""
        done = self.done + number
        return self.model_copy(update={"done": done, "total": max(self.total, done)})


@router.get("/scans/retry")
def confirm_retry(request: Request, session: SignedIn, parts: PartsOf) -> Response:
    """How many there are; nothing is done yet."""
    try:
        asked = _filter(Narrowing.read(request.query_params, besides=frozenset({TICKED})))
        if TICKED in request.query_params and not asked.id:
            raise BadFilter("Nothing is ticked.")  # which must not mean everything
    except BadFilter as fault:
        raise _bad(fault) from fault
    begun = clock.now()
    run = Run(begun=begun, total=parts.operations.count(asked.filter, begun))
    return page(request, "retry.html", session, asked=asked, labels=LABELS, run=run, left=run.total, under_way=False)


@router.post("/scans/retry")
async def retry(request: Request, session: Confirmed, parts: PartsOf) -> Response:
    """Some of them; the page that answers goes on with the next, until none is left."""
    form = await request.form()
    try:
        asked = _filter(Narrowing.read(form, besides=frozenset({CSRF_FIELD, *Run.model_fields})))
        run = Run.model_validate({name: form.get(name) for name in Run.model_fields})
    except (BadFilter, ValidationError) as fault:
        raise _bad(fault) from fault
    order = ordered(request, session.caller)
    done, left = await parts.in_thread(_put_back, parts, asked.filter, order, run.begun)
    run = run.further(done)
    left = left if done else 0  # what is left has been taken by others, who have it now
    return page(request, "retry.html", session, asked=asked, labels=LABELS, run=run, left=left, under_way=True)


def _put_back(parts: Parts, wanted: Filter, order: Order, ended_before: datetime) -> tuple[int, int]:
    """How many it were, and how many are left."""
    done = parts.operations.retry_all(wanted, order, most=AT_ONCE, ended_before=ended_before)
    return done, parts.operations.count(wanted, ended_before)


def _filter(asked: Narrowing) -> Narrowing:
    """As the API has it: where neither a status nor an id is given, what failed. Raises `BadFilter` for a search: what
    it means may change while this goes on."""
    if asked.q is not None:
        raise BadFilter("q: expected one of id, sha256, signature or name")
    status = asked.status or (() if asked.id else (Status.FAILED,))
    return asked.model_copy(update={"cursor": None, "status": status})


def _bad(fault: Exception) -> Problem:
    expected = "a filter as the list of scans has it"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_filter", f"Nothing was done. {fault}", expected=expected)
