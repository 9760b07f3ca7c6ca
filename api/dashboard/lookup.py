"""The scan that an address names."""

from __future__ import annotations

import re
from http import HTTPStatus

from api.dashboard.narrowing import UUID
from api.parts import Parts
from api.problems import Problem
from worker.scan import Scan
from worker.store import scans


def find(parts: Parts, scan_id: str) -> Scan:
    """The scan, of whatever service: operators see all. Raises `Problem` where there is none."""
    scan = None
    if re.fullmatch(UUID, scan_id):
        with parts.database.read() as connection:
            scan = scans.get(connection, scan_id)
    if scan is None:
        expected = "the id of a scan; it may have been cut where it was copied"
        raise Problem(HTTPStatus.NOT_FOUND, "scan_not_found", f"There is no scan {scan_id!r}.", expected=expected)
    return scan
