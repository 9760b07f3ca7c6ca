"""What the server says, typed: all of today's, and whatever a newer one adds."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

import lazaretto_client
from api.views import EventView
from lazaretto_client import Page, Reason, Transition
from worker.views import ErrorView, PromotedView, ReasonView, ScannerView, ScanView

WHOLE = {
    "id": "1",
    "status": "sanitised",
    "service": "avatars",
    "filename": "a.jpg",
    "size": 3,
    "reasons": [{"code": "of_tomorrow", "message": "why", "severity": 3}],
    "signatures": ["Eicar"],
    "scanner": {"engine": "e", "database": "1", "database_time": "2026-01-02T03:04:05.678Z", "cores": 2},
    "promoted": {"bucket": "clean", "key": "k", "size": 2, "sha256": "s", "type": "image/jpeg", "region": "moon"},
    "error": {"code": "c", "message": "m", "retryable": True, "host": "h"},
    "metadata": {"user": 7},
    "finished_at": "2026-01-02T03:04:05+00:00",
    "colour": "blue",
}


def test_a_newer_server_disturbs_nobody() -> None:
    scan = lazaretto_client.Scan.of(WHOLE)
    assert (scan.status, scan.ended, scan.passed) == ("sanitised", True, True)
    assert scan.reasons == (Reason("of_tomorrow", "why"),)
    assert scan.scanner is not None
    assert scan.scanner.database_time == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert (scan.promoted and scan.promoted.size, scan.error and scan.error.retryable) == (2, True)
    assert scan.raw["colour"] == "blue"


def test_nothing_that_the_server_says_is_missing() -> None:
    pairs: dict[type[Any], type[BaseModel]] = {
        lazaretto_client.Scan: ScanView,
        Reason: ReasonView,
        lazaretto_client.Scanner: ScannerView,
        lazaretto_client.Promoted: PromotedView,
        lazaretto_client.Failure: ErrorView,
    }
    for ours, theirs in pairs.items():
        assert {each.name for each in fields(ours)} - {"raw"} == set(theirs.model_fields)
    said = {field.serialization_alias or name for name, field in EventView.model_fields.items()}
    known = {each.name for each in fields(Transition)} - {"raw"}
    assert {{"source": "from", "target": "to"}.get(name, name) for name in known} == said


def test_pages_and_stories() -> None:
    page = Page.of({"items": [WHOLE], "next_cursor": "1", "total": 9})
    assert ([scan.id for scan in page.items], page.next_cursor) == (["1"], "1")
    step = {"at": "2026-01-02T03:04:05Z", "from": None, "to": "receiving", "decision": 1}
    told = Transition.of(step | {"actor": "a", "reason": "r", "request_id": None, "by": "x"})
    assert (told.source, told.target, told.decision) == (None, "receiving", 1)
