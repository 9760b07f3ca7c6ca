"""One scan: how it stands and why, its story, where its bytes are, and what can be done."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.dashboard import timeline, words
from api.dashboard.lookup import find
from api.dashboard.pages import page
from api.dashboard.picture import can_be_shown
from api.dashboard.session import Session, SignedIn
from api.dashboard.whereabouts import LABELS, SENTENCES, bytes_of, label
from api.parts import Parts, PartsOf
from worker.instruments import Step
from worker.scan import HELD, PROMOTED, Scan, Status
from worker.store import delivery_log, events, rescans

router = APIRouter(include_in_schema=False)
_QUICK, _SLOW = 1, 10  # seconds after which the page looks again: while something goes on, and once it has ended
_DONE_WITH = frozenset({Status.RELEASED, Status.EXPIRED, Status.ERASED})  # nothing is left to decide upon
_DELIVERIES = 20  # that are shown: one for each decision


@router.get("/scans/{scan_id}")
def scan_page(scan_id: str, request: Request, session: SignedIn, parts: PartsOf) -> Response:
    """Everything about one scan."""
    return show(scan_id, request, session, parts)


def show(
    scan_id: str,
    request: Request,
    session: Session,
    parts: Parts,
    status: HTTPStatus = HTTPStatus.OK,
    fault: str | None = None,
) -> Response:
    """The page of a scan, as it stands now; `fault` says what could not be done."""
    scan = find(parts, scan_id)
    recorded = _recorded(parts, scan)
    possible = _possible(scan, is_rescanned=bool(recorded["rescan"]))
    told = {"scan": scan, "fault": fault, "names": LABELS, "words": words}
    return page(request, "scan.html", session, status, **told, **_meaning(parts, scan), **recorded, **possible)


def _meaning(parts: Parts, scan: Scan) -> dict[str, Any]:
    """What its record comes to, in words."""
    return {
        "label": label(scan),
        "why": _why(scan),
        "advise": scan.status not in _DONE_WITH,
        "promoted": scan.status in PROMOTED,
        "sentence": SENTENCES[scan.status],
        "place": bytes_of(scan, parts.policies.of(scan.service).retention),
        "steps": [f"{step} {scan.steps[step]:.0f} ms" for step in Step if step in scan.steps] if scan.steps else [],
        "metadata": legible_json(scan.metadata),
        "picture": can_be_shown(scan),
    }


def _recorded(parts: Parts, scan: Scan) -> dict[str, Any]:
    """What else there is about it, and how soon that may have changed."""
    with parts.database.read() as connection:
        rescan = rescans.get(connection, scan.id)
        return {
            "story": timeline.of(events.of(connection, scan.id)),
            "rescan": rescan,
            "deliveries": delivery_log.page(connection, delivery_log.Wanted(scan_id=scan.id), _DELIVERIES),
            "seconds": _QUICK if rescan or not scan.status.ended else _SLOW,
        }


def legible_json(value: dict[str, Any]) -> str:
    """As text in which nothing hides: whatever cannot be printed is escaped, as JSON allows."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(each if each.isprintable() or each == "\n" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


def _why(scan: Scan) -> list[tuple[str, list[str]]]:
    """The codes of what keeps it from being clean or stopped a worker, each with every message."""
    said: dict[str, list[str]] = {}
    for reason in scan.reasons:
        said.setdefault(reason.code, []).append(reason.message)
    if scan.error:
        said.setdefault(scan.error["code"], []).append(scan.error["message"])
    return list(said.items())


def _possible(scan: Scan, *, is_rescanned: bool) -> dict[str, bool]:
    """What an operator can do about it now."""
    held = scan.status in HELD and scan.quarantine_key is not None
    return {
        "can_retry": held,
        "can_release": held and scan.status is Status.UNSCANNABLE,
        "can_rescan": scan.status in PROMOTED and not is_rescanned,
        "can_erase": scan.status is not Status.ERASED,
    }
