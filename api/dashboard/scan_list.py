"""The list of scans: narrowed by the address, searched by one field, the newest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.dashboard import search, words
from api.dashboard.narrowing import BadFilter, Narrowing
from api.dashboard.pages import age, page
from api.dashboard.session import SignedIn
from api.dashboard.whereabouts import LABELS, label
from api.parts import Parts, PartsOf
from worker import clock, media_types
from worker.scan import HELD, Scan, Status
from worker.store import services, standing

router = APIRouter(include_in_schema=False)

_MOST_OFFERED = 200  # services; others can be typed
_QUITE_NEW = timedelta(minutes=1)

# What operators look for most: the name, and the states.
_QUICK: tuple[tuple[str, tuple[Status, ...]], ...] = (
    ("All", ()),
    ("Failed", (Status.FAILED,)),
    ("Unscannable", (Status.UNSCANNABLE,)),
    ("Under way", (Status.RECEIVING, Status.QUEUED, Status.SCANNING, Status.SETTLING)),
    ("Infected", (Status.INFECTED,)),
    ("Rejected", (Status.REJECTED,)),
    ("Clean", (Status.CLEAN, Status.RELEASED)),
)


@router.get("/scans")
def list_scans(request: Request, session: SignedIn, parts: PartsOf) -> Response:
    """The list; where the address makes no sense, what would."""
    known = _choices(parts)
    try:
        asked = Narrowing.read(request.query_params)
    except BadFilter as fault:
        known |= {"asked": Narrowing(), "found": None, "fault": str(fault)}
        return page(request, "scans.html", session, HTTPStatus.UNPROCESSABLE_ENTITY, **known)
    with parts.database.read() as connection:
        found = search.find(connection, asked)
    understood = found.narrowing(asked)
    known |= {"asked": asked, "found": found, "fault": None, "understood": understood}
    known |= {"retryable": _may_be_retried(understood, found.scans), "held": HELD}
    known |= {"older": asked.address(cursor=found.cursor) if found.cursor else None}
    return page(request, "scans.html", session, **known)


def _choices(parts: Parts) -> dict[str, Any]:
    """What the filters offer, and how many files wait for a decision."""
    with parts.database.read() as connection:
        names = sorted(services.all_names(connection))[:_MOST_OFFERED]
        counts = standing.held(connection, None)
    quick = [(name, statuses, sum(counts.get(each, 0) for each in statuses)) for name, statuses in _QUICK]
    codes = sorted((words.REASONS | words.ERRORS).items(), key=lambda each: each[1].label)
    types = sorted(media_types.BY_NAME)
    offered = {"quick": quick, "services": names, "codes": codes, "types": types}
    return offered | {"labels": LABELS, "label": label, "words": words, "ago": ago}


def ago(moment: datetime) -> str:
    """How long ago that was; of what is quite new no more, or the list would change at every look."""
    return "just now" if clock.now() - moment < _QUITE_NEW else age(moment)


def _may_be_retried(asked: Narrowing, shown: list[Scan]) -> bool:
    """Is there anything in this list that can be put back? Where the filter leaves it open, by what is shown."""
    if asked.status and not HELD.intersection(asked.status):
        return False
    return any(scan.status in HELD and scan.quarantine_key for scan in shown)
