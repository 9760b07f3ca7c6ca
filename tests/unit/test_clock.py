"""Ids that carry the time of arrival."""

from __future__ import annotations

from datetime import timedelta

from worker import clock


def test_ids_sort_by_time_and_carry_it() -> None:
    before = clock.now()
    ids = [clock.new_id() for _ in range(1000)]
    after = clock.now()
    assert len(set(ids)) == len(ids)
    assert before - timedelta(milliseconds=1) <= clock.moment_of(ids[0]) <= clock.moment_of(ids[-1]) <= after


def test_the_first_id_of_a_moment_is_not_above_any_of_it() -> None:
    made = clock.new_id()
    moment = clock.moment_of(made)
    assert clock.first_id(moment) <= made < clock.first_id(moment + timedelta(milliseconds=1))
    assert len(clock.first_id(moment)) == len(made)
