"""What pages of scans say, in words; how lists are narrowed and searches understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.datastructures import MultiDict

from api.dashboard import timeline, words
from api.dashboard.narrowing import BadFilter, Narrowing
from api.dashboard.picture import LARGEST, can_be_shown
from api.dashboard.scan_page import legible_json
from api.dashboard.search import readings
from api.dashboard.whereabouts import LABELS, SENTENCES, bytes_of, label
from worker import clock, tasks
from worker.errors import Internal
from worker.scan import HELD, PROMOTED, Event, Promoted, ReasonCode, Scan, Status

ID = "0199c3d2-7c1f-7a52-9b1e-4d5f60718293"
MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
SHA256 = "ab" * 32


def _scan(status: Status = Status.CLEAN, **changes: object) -> Scan:
    scan = Scan(ID, "default", status, "a.png", None, MOMENT, MOMENT, size=9, sha256=SHA256, finished_at=MOMENT)
    return replace(scan, **changes)  # type: ignore[arg-type]


def _outages(kind: type[Internal] = Internal) -> Iterator[type[Internal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _outages(each)


def test_every_reason_and_every_outage_is_explained() -> None:
    codes = {each.value for each in ReasonCode} | {each.code for each in _outages() if "code" in vars(each)}
    assert tasks  # whatever a worker may raise is loaded
    codes |= {"internal_error", "worker_lost"}  # of what nobody has foreseen, and of the sweeper
    codes -= {"policy_fault"}  # which keeps a worker from starting
    assert codes <= set(words.REASONS | words.ERRORS)
    assert all(all(its) for its in (words.REASONS | words.ERRORS).values())


def test_a_code_of_a_newer_release_is_shown_as_it_is() -> None:
    assert words.of("quantum_bomb").label == "quantum_bomb"


def test_every_status_has_words() -> None:
    assert set(LABELS) == set(SENTENCES) == set(Status)


def test_a_file_that_the_policy_deleted_is_not_called_held() -> None:
    assert label(_scan(Status.UNSCANNABLE)) == "Unscannable"


@pytest.mark.parametrize("status", Status)
def test_where_the_bytes_are_is_told_of_every_status(status: Status) -> None:
    made = Promoted("clean", "default/1/1-1", 9, "cd" * 32, "image/png")
    here = _scan(status, quarantine_key="sealed/1", promoted=made)
    place = bytes_of(here, timedelta(days=30))
    assert (place.until == MOMENT + timedelta(days=30)) == (status in HELD)
    assert (place.key == "clean/default/1/1-1") == (status in PROMOTED)


@pytest.mark.parametrize("status", [each for each in Status if each.ended and each not in PROMOTED])
def test_what_is_not_in_quarantine_any_more_is_deleted(status: Status) -> None:
    assert bytes_of(_scan(status), timedelta(days=30)).told.startswith("Deleted")


def test_what_is_recalled_is_not_in_quarantine() -> None:
    recalled = _scan(Status.SETTLING, promoted=Promoted("clean", "default/1/1-1", 9, SHA256, "image/png"))
    recalled = replace(recalled, verdict=Status.INFECTED, finished_at=None)
    assert bytes_of(recalled, timedelta(days=30)).told.startswith("In the clean bucket still")


def test_only_images_made_anew_are_shown() -> None:
    made = Promoted("clean", "default/1/1-1", 9, "cd" * 32, "image/png")
    assert can_be_shown(_scan(promoted=made))
    for other in (
        _scan(promoted=None),
        _scan(Status.SETTLING, promoted=made),
        _scan(Status.ERASED, promoted=made),
        _scan(promoted=replace(made, sha256=SHA256)),
        _scan(promoted=replace(made, type="image/svg+xml")),
        _scan(promoted=replace(made, type="text/html")),
        _scan(promoted=replace(made, size=LARGEST + 1)),
    ):
        assert not can_be_shown(other)


def test_metadata_hides_nothing_and_stays_json() -> None:
    metadata = {"\u202egpj": ["\u200b\x00\x1b[2J\u2028", "Zürich", "🚀"], "n": None}
    shown = legible_json(metadata)
    assert all(each.isprintable() or each == "\n" for each in shown)
    assert json.loads(shown) == metadata
    assert "Zürich" in shown


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        (ID, [{"id": (ID,)}]),
        (ID.upper(), [{"id": (ID,)}]),
        (SHA256.upper(), [{"sha256": SHA256}]),
        ("Win.Test.EICAR_HDB-1", [{"signature": "Win.Test.EICAR_HDB-1"}, {"name": "Win.Test.EICAR_HDB-1"}]),
        ("my photo", [{"name": "my photo"}]),
        ("<img src=x>", [{"name": "<img src=x>"}]),
        (ID[:-1], [{"signature": ID[:-1]}, {"name": ID[:-1]}]),
    ],
)
def test_a_search_is_understood_by_its_shape(typed: str, understood: list[dict[str, object]]) -> None:
    asked = Narrowing(q=typed, service="avatars")
    assert [each.narrowing for each in readings(asked)] == [Narrowing(service="avatars", **each) for each in understood]


def test_an_address_comes_back_as_it_went() -> None:
    pairs = [("status", "failed"), ("status", "unscannable"), ("type", "image/png"), ("q", "a&b=c #?"), ("reason", "")]
    asked = Narrowing.read(MultiDict(pairs))
    assert asked.status == (Status.FAILED, Status.UNSCANNABLE)
    assert asked.address() == "/scans?q=a%26b%3Dc+%23%3F&status=failed&status=unscannable&type=image%2Fpng"
    assert asked.address(q=None, status=[], cursor=ID) == f"/scans?type=image%2Fpng&cursor={ID}"


@pytest.mark.parametrize(("said", "ago"), [("90m", 90), ("2h", 120), ("7d", 7 * 24 * 60)])
def test_an_age_is_so_long_ago(said: str, ago: int) -> None:
    since = Narrowing.read(MultiDict([("since", said)])).since
    assert since is not None
    assert abs(clock.now() - since - timedelta(minutes=ago)) < timedelta(seconds=10)


def test_a_moment_without_a_zone_is_in_utc() -> None:
    assert Narrowing.read(MultiDict([("until", "2026-01-15T09:30")])).until == MOMENT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "fine"),
        ("id", "1"),
        ("sha256", "x" * 64),
        ("cursor", "' OR 1=1"),
        ("since", "yesterday"),
        ("since", "99999d"),
        ("until", "9999-12-31T23:59"),
        ("name", "a\0b"),
        ("q", "x" * 4097),
        ("statuss", "failed"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(BadFilter, match=name):
        Narrowing.read(MultiDict([(name, value)]))


def test_a_long_story_is_told_from_both_ends() -> None:
    events = [
        Event(
            MOMENT + timedelta(seconds=number), "intake", None, Status.QUEUED, str(number), decision=1 + number // 100
        )
        for number in range(150)
    ]
    story = timeline.of(events)
    assert [each.event.reason for each in story.beginning] == ["0", "1", "2", "3", "4"]
    assert (story.left_out, story.rest[0].event.reason, story.rest[-1].event.reason) == (50, "55", "149")
    assert {each.after for each in story.rest} == {1.0}
    assert [each.event.reason for each in story.rest if each.opens] == ["100"]
