"""The scan that an address names."""

from __future__ import annotations

from http import HTTPStatus

from api.parts import Parts
from api.problems import Problem
from api.scans import on_record
from worker.scan import Scan


def find(parts: Parts, scan_id: str) -> Scan:
    """The scan, of whatever service: operators see all. Raises `Problem` where there is none."""
    scan = on_record(parts, scan_id)
    if scan is None:
        expected = "the id of a scan; it may have been cut where it was copied"
        raise Problem(HTTPStatus.NOT_FOUND, "scan_not_found", f"There is no scan {scan_id!r}.", expected=expected)
    return scan
