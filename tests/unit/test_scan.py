"""The state machine as data: complete, without dead ends, and in step with what is said about each state."""

from __future__ import annotations

import pytest

from ops import states
from worker.scan import ALLOWED, PENDING, SEVERITY, TRANSITIONS, Reason, ReasonCode, Status


def test_every_pending_status_is_moved_on_by_somebody() -> None:
    for status in PENDING:
        assert [each for each in TRANSITIONS if each.source is status], f"nobody moves {status} on"


def test_every_pending_status_can_reach_an_end() -> None:
    reached = {status for status in Status if status.ended}
    while grown := {source for source, target, _ in ALLOWED if target in reached} - reached:
        reached |= grown
    assert reached >= PENDING


def test_settling_never_fails() -> None:
    assert (Status.SETTLING, Status.FAILED) not in {(source, target) for source, target, _ in ALLOWED}


def test_the_clean_bucket_is_reached_from_a_recorded_verdict_only() -> None:
    assert {source for source, target, _ in ALLOWED if target is Status.CLEAN} == {Status.SETTLING}


def test_transitions_are_told_apart() -> None:
    arrows = [(each.source, each.target, each.mover, each.why) for each in TRANSITIONS]
    assert len(arrows) == len(set(arrows))


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_leads_to_a_verdict(code: ReasonCode) -> None:
    assert Reason(code, "…").status in SEVERITY


def test_the_diagram_shows_these_transitions() -> None:
    assert states.PAGE.read_text() == states.page(), "run `python -m ops.states`"
