"""Ids that carry the time of arrival."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from worker import clock


@pytest.fixture
def another_clock() -> Iterator[timedelta]:
    """The process keeps the time of a clock that is a day ahead of this machine's."""
    ahead = timedelta(days=1)
    clock.follow(lambda: datetime.now(UTC) + ahead)
    yield ahead
    clock.follow(lambda: datetime.now(UTC))


def test_ids_sort_by_time_and_carry_it() -> None:
    before = clock.now()
    ids = [clock.new_id() for _ in range(1000)]
    after = clock.now()
    assert len(set(ids)) == len(ids)
    assert before - timedelta(milliseconds=1) <= clock.moment_of(ids[0]) <= clock.moment_of(ids[-1]) <= after


def test_ids_carry_the_time_of_the_clock_that_is_followed(another_clock: timedelta) -> None:
    made = clock.moment_of(clock.new_id())
    assert made - datetime.now(UTC) == pytest.approx(another_clock, abs=timedelta(seconds=1))


def test_the_first_id_of_a_moment_is_not_above_any_of_it() -> None:
    made = clock.new_id()
    moment = clock.moment_of(made)
    assert clock.first_id(moment) <= made < clock.first_id(moment + timedelta(milliseconds=1))
    assert len(clock.first_id(moment)) == len(made)


@pytest.mark.parametrize("milliseconds", [0, 1, 1_001, 1_767_225_600_001, 1_767_225_600_257, 2**41 - 1])
def test_an_id_gives_its_very_millisecond_back(milliseconds: int) -> None:
    """Floating point would lose one in a hundred."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert clock.moment_of(clock.first_id(moment)) == moment
