"""The scan that an address names."""

from __future__ import annotations

import re
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from api.dashboard.narrowing import UUID
from api.dashboard.pages import page
from api.dashboard.session import Session
from api.parts import Parts
from worker.scan import Scan
from worker.store import scans


def find(parts: Parts, scan_id: str) -> Scan | None:
    """The scan, of whatever service: operators see all."""
    if not re.fullmatch(UUID, scan_id):
        return None
    with parts.database.read() as connection:
        return scans.get(connection, scan_id)


def missing(request: Request, session: Session) -> Response:
    """There is no such scan."""
    told = "The address names no scan. It may have been cut where it was copied; the list can be searched otherwise."
    return page(request, "fault.html", session, HTTPStatus.NOT_FOUND, title="No such scan", told=told)
