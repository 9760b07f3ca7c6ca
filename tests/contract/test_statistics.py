"""Statistics: every end of a decision counts once, in its hour, however often and by however many it is counted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select

from worker import clock, rollup, services
from worker.lanes import Lane
from worker.rollup import RollUps
from worker.scan import Cause, Mover, Reason, Scan, Status, Verdict
from worker.statistics import Outcomes
from worker.stats import Stats
from worker.store import orders, scans
from worker.store.database import Database
from worker.store.rows import verdict_values
from worker.store.tables import events, rolled_up, rollups
from worker.store.tables import scans as scans_table
from worker.store.tables import services as services_table

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CAUSE = Cause(Mover.WORKER, "because")
ERROR = {"code": "worker_lost", "message": "…", "retryable": True}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    services.ensure_bootstrap_key(made, "key")
    with made.write() as connection:
        for name in ("avatars", "papers"):
            connection.execute(insert(services_table).values(name=name, created_at=clock.now()))
    yield made
    made.close()


class Story:
    """Scans that end when a test says, beside what statistics should say of them."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database, self._monkeypatch = database, monkeypatch
        self.told: list[tuple[datetime, Scan]] = []

    def at(self, moment: datetime) -> None:
        self._monkeypatch.setattr(clock, "now", lambda: moment)

    def scan(self, status: Status, begun: datetime, seconds: float, **values: Any) -> Scan:
        """One that came in at `begun`, and its outcome so many seconds later."""
        self.at(begun)
        scan = Scan(clock.new_id(), "avatars", Status.RECEIVING, "a", None, begun, begun, size=100)
        scan = replace(scan, **values)
        with self._database.write() as connection:
            scans.add(connection, scan, CAUSE)
            scans.move(connection, scan.id, scan.status, Status.QUEUED, Cause(Mover.INTAKE, "because"))
            return self.examined(connection, scan, status, begun + timedelta(seconds=seconds))

    def examined(self, connection: Connection, scan: Scan, status: Status, at: datetime) -> Scan:
        self.at(at)
        scans.move(connection, scan.id, Status.QUEUED, Status.SCANNING, CAUSE)
        if status is Status.FAILED:
            ended = scans.move(connection, scan.id, Status.SCANNING, status, CAUSE, error=ERROR)
        else:
            verdict = verdict_values(_verdict(status))
            scans.move(connection, scan.id, Status.SCANNING, Status.SETTLING, CAUSE, **verdict)
            ended = scans.move(connection, scan.id, Status.SETTLING, status, CAUSE)
        assert ended is not None
        self.told.append((at, ended))
        return ended


def _verdict(status: Status) -> Verdict:
    codes = {Status.INFECTED: ("signature_found",), Status.REJECTED: ("type_mismatch", "image_too_large")}
    reasons = tuple(Reason(code, "…") for code in codes.get(status, ()))
    return Verdict(status, reasons, detected_type="image/jpeg" if status is Status.CLEAN else "text/plain")


@pytest.fixture
def story(database: Database, monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(database, monkeypatch)


NOW = datetime(2026, 3, 20, 10, 30, tzinfo=UTC)


def _random(story: Story, number: int, days: int) -> None:
    chance = random.Random(number)
    statuses = (Status.CLEAN, Status.CLEAN, Status.INFECTED, Status.REJECTED, Status.FAILED)
    begins = sorted(NOW - timedelta(seconds=chance.uniform(100, days * 86400)) for _ in range(number))
    for begun in begins:
        service = chance.choice(("avatars", "avatars", "papers"))
        story.scan(chance.choice(statuses), begun, chance.choice((0.02, 0.3, 4, 90)), service=service)
    story.at(NOW)


def _keep(database: Database) -> None:
    """As the sweeper does, until nothing is left: one sweep ends after a second, which is little on a busy machine."""
    sweeper = RollUps(database)
    while sweeper.keep():
        pass


def _expected(story: Story, outcomes: Outcomes, service: str | None) -> None:
    """What the told scans come to, counted one by one."""
    theirs = [(at, scan) for at, scan in story.told if outcomes.begin <= at and service in (None, scan.service)]
    only = [scan for _, scan in theirs]
    assert outcomes.total == len(theirs) > 0
    assert outcomes.by_status == Counter(scan.status for scan in only)
    assert outcomes.by_service == Counter(scan.service for scan in only)
    assert outcomes.by_type == Counter(scan.detected_type for scan in only if scan.detected_type)
    codes = Counter(reason.code for scan in only for reason in scan.reasons)
    codes.update("worker_lost" for scan in only if scan.status is Status.FAILED)
    assert outcomes.by_reason == codes
    assert outcomes.bytes == 100 * len(theirs)
    slots = Counter[tuple[datetime, Status]]()
    width = outcomes.slots[1].at - outcomes.slots[0].at
    for at, scan in theirs:
        begin = at.replace(minute=0, second=0, microsecond=0)
        slots[begin if width == HOUR else begin.replace(hour=0), scan.status] += 1
    assert {(slot.at, status): n for slot in outcomes.slots for status, n in slot.counts.items()} == slots
    assert all(later.at - earlier.at == width for earlier, later in pairwise(outcomes.slots))


def test_the_type_of_what_was_examined_is_counted_whatever_a_retry_comes_to(database: Database, story: Story) -> None:
    """Also by a repair: the bytes are the same."""
    held = story.scan(Status.UNSCANNABLE, NOW - 3 * HOUR, 5, quarantine_key="sealed/1")
    story.at(NOW - HOUR)
    cause = Cause(Mover.OPERATOR, "tried again")
    with database.write() as connection:
        again = orders.retry(connection, held, cause, Lane.BULK, enqueued_at=None)
        assert again is not None
    list(RollUps(database).repair(NOW - DAY))
    assert Stats(database).lately(timedelta(hours=6)).by_type == {"text/plain": 1}
    with database.write() as connection:
        story.examined(connection, again, Status.FAILED, NOW)
    list(RollUps(database).repair(NOW - DAY))
    outcomes = Stats(database).lately(timedelta(hours=6))
    assert outcomes.by_status == {Status.UNSCANNABLE: 1, Status.FAILED: 1}
    assert outcomes.by_type == {"text/plain": 2}


@pytest.mark.parametrize("days", [2, 30])
def test_counts_are_those_of_the_events(database: Database, story: Story, days: int) -> None:
    """Hours alone; and days with hours before and after."""
    _random(story, 60, days)
    _keep(database)
    stats = Stats(database)
    for window in (HOUR, DAY, timedelta(hours=72), timedelta(days=9), timedelta(days=31)):
        for service in (None, "avatars", "papers"):
            outcomes = stats.lately(window, service)
            if outcomes.total or window > DAY:
                _expected(story, outcomes, service)
    empty = stats.lately(DAY, "nobody")
    assert (empty.total, empty.latency, len(empty.slots)) == (0, None, 25)


def test_percentiles_are_within_five_percent(database: Database, story: Story) -> None:
    for seconds in [0.1] * 50 + [2.0] * 45 + [700.0] * 5:
        story.scan(Status.CLEAN, NOW - timedelta(seconds=1000), seconds)
    story.at(NOW)
    _keep(database)
    latency = Stats(database).lately(HOUR).latency
    assert latency is not None
    assert [latency.p50, latency.p95, latency.p99] == pytest.approx([0.1, 2, 700], rel=0.05)


def test_each_end_counts_once_however_often_it_is_counted(database: Database, story: Story) -> None:
    """By several sweepers at the same time, while files go on ending; and what is over is not counted again."""
    _random(story, 30, 3)
    sweepers = [RollUps(database) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(RollUps.keep, sweepers))
            story.scan(Status.CLEAN, NOW, 1)
            story.at(NOW + timedelta(seconds=2))
    _keep(database)
    _expected(story, Stats(database).lately(timedelta(days=9)), None)
    assert RollUps(database).keep() == 0


def test_an_end_that_is_committed_late_is_counted(database: Database, story: Story) -> None:
    """Its hour is over, and has been counted, when its transaction ends."""
    before_the_hour = NOW.replace(minute=0) - timedelta(seconds=1)
    story.scan(Status.CLEAN, before_the_hour - HOUR, 1)
    story.at(before_the_hour + timedelta(seconds=30))
    _keep(database)
    story.scan(Status.CLEAN, before_the_hour - timedelta(seconds=1), 1)
    for minutes in (1, 10, 70):
        story.at(before_the_hour + timedelta(minutes=minutes))
        _keep(database)
        assert Stats(database).lately(timedelta(hours=4)).total == 2


def test_a_decision_after_the_first_counts_by_itself(database: Database, story: Story) -> None:
    """What it was before is not forgotten: also not by a repair."""
    failed = story.scan(Status.FAILED, NOW - 3 * HOUR, 5)
    story.at(NOW - HOUR)
    retry = Cause(Mover.OPERATOR, "tried again")
    with database.write() as connection:
        again = scans.move(connection, failed.id, Status.FAILED, Status.QUEUED, retry, error=None)
        assert again is not None
        story.examined(connection, again, Status.INFECTED, NOW - HOUR + timedelta(seconds=2))
        story.at(NOW)
        scans.move(connection, failed.id, Status.INFECTED, Status.ERASED, Cause(Mover.OPERATOR, "erased"))
    _keep(database)
    list(RollUps(database).repair(NOW - DAY))
    outcomes = Stats(database).lately(timedelta(hours=6))
    assert outcomes.by_status == {Status.FAILED: 1, Status.INFECTED: 1, Status.ERASED: 1}
    assert outcomes.by_reason == {"worker_lost": 1, "signature_found": 1}
    assert (outcomes.total, outcomes.bytes) == (3, 200)
    assert outcomes.latency is not None
    assert [outcomes.latency.p50, outcomes.latency.p99] == pytest.approx([2, 5], rel=0.05)


def test_a_long_backlog_is_counted_little_by_little(
    database: Database, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a migration: a sweep does not take long, and what ends now is told meanwhile."""
    _random(story, 40, 30)
    story.scan(Status.CLEAN, NOW - timedelta(seconds=10), 1)
    story.at(NOW)
    monkeypatch.setattr(rollup, "_BACKLOG_SECONDS", 0.02)
    sweeper = RollUps(database)
    first = sweeper.keep()
    assert first < 38
    assert Stats(database).lately(HOUR).total >= 1
    while sweeper.keep():
        pass
    _keep(database)
    _expected(story, Stats(database).lately(timedelta(days=31)), None)


def test_a_repair_mends_what_is_wrong_and_may_be_interrupted(database: Database, story: Story) -> None:
    _random(story, 40, 9)
    _keep(database)
    right = _rows(database)
    with database.write() as connection:
        some = select(rollups.c.at).where(rollups.c.step == "hour").order_by(rollups.c.at).limit(3)
        connection.execute(delete(rollups).where(rollups.c.at.in_(some.scalar_subquery())))
        wrong = {"service": "papers", "step": "hour", "at": NOW.replace(minute=0) - 2 * HOUR}
        connection.execute(delete(rollups).where(*(rollups.c[name] == value for name, value in wrong.items())))
        connection.execute(insert(rollups).values(**wrong, counts={"status": {"clean": 1000}, "bytes": 1}))
        connection.execute(delete(rollups).where(rollups.c.step == "day"))
    assert _rows(database) != right
    repair = RollUps(database).repair(NOW - timedelta(days=30))
    next(repair)
    repair.close()
    hours = [at for at, _ in RollUps(database).repair(NOW - timedelta(days=30))]
    assert hours == sorted(set(hours))
    assert _rows(database) == right


def _rows(database: Database) -> list[Any]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(rollups).order_by(*rollups.primary_key.columns))]


def test_hours_are_forgotten_once_their_day_is_there(
    database: Database, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    _random(story, 20, 5)
    _keep(database)
    later = NOW + timedelta(days=60)
    story.scan(Status.CLEAN, later - DAY, 1)
    story.at(later)
    _keep(database)
    with database.read() as connection:
        kept = set(connection.execute(select(rollups.c.at).where(rollups.c.step == "hour")).scalars())
        done = {row.step: row.until for row in connection.execute(select(rolled_up))}
    assert kept
    assert min(kept) >= later - timedelta(days=41)
    assert done == {"hour": later.replace(minute=0), "day": later.replace(hour=0, minute=0)}
    stats = Stats(database).outcomes(NOW.replace(hour=0, minute=0) - timedelta(days=6), later)
    assert stats.total == 21


def test_what_nobody_put_in_a_queue_has_no_latency(database: Database, story: Story) -> None:
    """An upload that broke the size limit, and what a service erased before anybody looked."""
    story.at(NOW)
    with database.write() as connection:
        for target, mover in ((Status.REJECTED, Mover.INTAKE), (Status.ERASED, Mover.SERVICE)):
            scan = Scan(clock.new_id(), "avatars", Status.RECEIVING, "a", None, NOW, NOW)
            scans.add(connection, scan, CAUSE)
            reasons = [{"code": "file_too_large", "message": "…"}] if mover is Mover.INTAKE else []
            scans.move(connection, scan.id, Status.RECEIVING, target, Cause(mover, "because"), reasons=reasons)
    _keep(database)
    outcomes = Stats(database).lately(HOUR)
    assert (outcomes.total, outcomes.latency, outcomes.by_reason) == (2, None, {"file_too_large": 1})
    with database.read() as connection:
        assert set(connection.execute(select(events.c.seconds)).scalars()) == {None}


def test_types_that_files_claim_do_not_fill_the_database(database: Database, story: Story) -> None:
    story.scan(Status.CLEAN, NOW - timedelta(seconds=5), 1)
    with database.write() as connection:
        row = dict(connection.execute(scans_table.select()).mappings().one())
        story_row = dict(connection.execute(select(events).where(events.c.target == "clean")).mappings().one())
        ids = [clock.new_id() for _ in range(500)]
        rows = [row | {"id": each, "detected_type": f"x/{at}"} for at, each in enumerate(ids)]
        connection.execute(insert(scans_table), rows)
        del story_row["id"]
        connection.execute(insert(events), [story_row | {"scan_id": each} for each in ids])
    story.at(NOW)
    _keep(database)
    by_type = Stats(database).lately(HOUR).by_type
    assert len(by_type) == 201
    assert sum(by_type.values()) == 501
    assert by_type["other"] == 301


def test_how_things_stand(database: Database, story: Story) -> None:
    states = (Status.RECEIVING, Status.QUEUED, Status.QUEUED, Status.SCANNING, Status.SETTLING, Status.QUEUED)
    lanes = {2: Lane.BULK, 5: Lane.LARGE}
    with database.write() as connection:
        for at, status in enumerate(states):
            service = "papers" if at == 2 else "avatars"
            scan = Scan(clock.new_id(), service, status, "a", None, NOW, NOW, lane=lanes.get(at, Lane.SCANS))
            scans.add(connection, replace(scan, queued_at=NOW - timedelta(minutes=at)), CAUSE)
        for status, key in ((Status.FAILED, "k"), (Status.UNSCANNABLE, "k"), (Status.UNSCANNABLE, None)):
            scan = Scan(clock.new_id(), "avatars", status, "a", None, NOW, NOW, finished_at=NOW, quarantine_key=key)
            scans.add(connection, scan, CAUSE)
    now = Stats(database).now()
    assert now.pending == {Status.RECEIVING: 1, Status.QUEUED: 3, Status.SCANNING: 1, Status.SETTLING: 1}
    assert now.held == {Status.UNSCANNABLE: 1, Status.FAILED: 1}
    waiting = {each.queue: (each.number, each.oldest) for each in now.queues}
    minutes = {"scans": 1, "large": 5, "bulk": 2}
    lines = {queue: (1, NOW - timedelta(minutes=each)) for queue, each in minutes.items()}
    assert waiting == lines | {"rescans": (0, None)}
    theirs = Stats(database).now("papers")
    assert (theirs.pending[Status.QUEUED], theirs.pending[Status.RECEIVING], theirs.held[Status.FAILED]) == (1, 0, 0)
    assert [(each.queue, each.number) for each in theirs.queues] == [("scans", 0), ("large", 0), ("bulk", 1)]
