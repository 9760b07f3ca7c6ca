"""What requests ask of the store: every list, every page, every number. Each by a name, under which its time is told
and its plan is read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from ops.bench.invented import DAYS, SIGNATURES
from worker import clock, migrations, services, sessions
from worker.scan import Status
from worker.stats import Stats
from worker.store import events, listing, scanners, scans
from worker.store.database import Database
from worker.store.scans import Filter
from worker.store.tables import scans as table

KEY = "a key of the benchmark"
_LIMIT = 50
_CLEAN, _FAILED, _INFECTED, _REJECTED = (Status.CLEAN,), (Status.FAILED,), (Status.INFECTED,), (Status.REJECTED,)

LISTS: dict[str, Filter] = {
    "all": Filter(),
    "service": Filter(service="photos"),
    "small service": Filter(service="legal"),
    "service that has ended": Filter(service="archive"),
    "service that has begun": Filter(service="newcomer"),
    "status": Filter(statuses=_CLEAN),
    "rare status": Filter(statuses=(Status.RELEASED,)),
    "several statuses": Filter(statuses=(*_INFECTED, *_REJECTED, *_FAILED)),
    "service and status": Filter(service="photos", statuses=_FAILED),
    "small service and rare status": Filter(service="legal", statuses=_INFECTED),
    "ended service and statuses": Filter(service="archive", statuses=(*_FAILED, *_INFECTED)),
    "type": Filter(type="image/jpeg"),
    "rare type": Filter(type="application/x-dosexec"),
    "unknown type": Filter(type="image/unheard-of"),
    "type and status": Filter(type="image/jpeg", statuses=_INFECTED),
    "type and service": Filter(type="image/jpeg", service="careers"),
    "rare type and small service": Filter(type="application/x-dosexec", service="legal"),
    "type, service and status": Filter(type="text/csv", service="legal", statuses=_REJECTED),
    "type and ended service": Filter(type="image/jpeg", service="archive"),
    "reason": Filter(reason="type_mismatch"),
    "reason and service": Filter(reason="type_mismatch", service="careers"),
    "reason and rare status": Filter(reason="encrypted", statuses=(Status.RELEASED,)),
    "reason and another type": Filter(reason="empty_file", type="image/heic"),
    "reason that no status has": Filter(reason="encrypted", statuses=_CLEAN),
    "signature": Filter(signature=SIGNATURES[0]),
    "signature and service": Filter(signature=SIGNATURES[0], service="legal"),
    "unknown signature": Filter(signature="Unheard-Of"),
    "content": Filter(sha256=f"{7:064x}"),
    "content and service": Filter(sha256=f"{7:064x}", service="legal"),
    "unknown content": Filter(sha256="f" * 64),
    "name": Filter(name="setup1234.exe"),
    "start of many names": Filter(name="IMG_"),
    "start of some names": Filter(name="invoice-12"),
    "start of no name": Filter(name="zzz"),
    "name and rare status": Filter(name="IMG_", statuses=_INFECTED),
    "name, service and status": Filter(name="IMG_00", service="legal", statuses=_FAILED),
    "name and another type": Filter(name="IMG_", type="text/csv"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What is asked about: other things each time, the same ones in each run."""

    ids: list[str]
    end: datetime

    @classmethod
    def of(cls, database: Database, end: datetime, number: int = 40) -> Sample:
        """Scans of all times."""
        chance = random.Random(6)  # noqa: S311 - nothing is secret here
        bounds = [clock.first_id(end - timedelta(days=chance.uniform(0.1, DAYS))) for _ in range(number)]
        with database.read() as connection:
            first = [select(table.c.id).where(table.c.id >= each).order_by(table.c.id).limit(1) for each in bounds]
            return cls([connection.execute(each).scalar_one() for each in first], end)


Question = Callable[[Database, Sample, int], object]


def questions() -> Iterator[tuple[str, Question]]:
    """Those of requests. The number of a question's turn says what it is about."""
    for name, wanted in LISTS.items():
        yield f"list: {name}", _list(wanted)
    yield "list: a day of a service", _day(Filter(service="photos"))
    yield "list: a day of a type and a status", _day(Filter(type="image/jpeg", statuses=_FAILED))
    yield "list: two hundred ids", lambda database, sample, _: _page(database, Filter(ids=tuple(sample.ids * 5)), None)
    yield "scan", lambda database, sample, turn: _asked(database, scans.get, _of(sample, turn))
    yield "events", lambda database, sample, turn: _asked(database, events.of, _of(sample, turn))
    yield "scanners", lambda database, sample, _: _asked(database, scanners.since, sample.end)
    yield "key", lambda database, _sample, _turn: services.identify(database, KEY)
    yield "session", lambda database, _sample, _turn: sessions.caller(database, "a session that nobody has begun")
    yield "readiness", lambda database, _sample, _turn: migrations.pending(database)
    yield "statistics: a day", _statistics(timedelta(days=1), None)
    yield "statistics: 31 days", _statistics(timedelta(days=31), None)
    yield "statistics: 31 days of a service", _statistics(timedelta(days=31), "photos")
    yield "how things stand", lambda database, _sample, _turn: Stats(database).now()
    yield "how things stand for a service", lambda database, _sample, _turn: Stats(database).now("photos")


def _list(wanted: Filter) -> Question:
    """The first page and, every other time, one from the middle."""

    def ask(database: Database, sample: Sample, turn: int) -> object:
        return _page(database, wanted, _of(sample, turn) if turn % 2 else None)

    return ask


def _day(wanted: Filter) -> Question:
    def ask(database: Database, sample: Sample, turn: int) -> object:
        since = clock.moment_of(_of(sample, turn))
        return _page(database, _within(wanted, since), None)

    return ask


def _within(wanted: Filter, since: datetime) -> Filter:
    return Filter(wanted.ids, wanted.statuses, wanted.service, None, since, since + timedelta(days=1), type=wanted.type)


def _statistics(window: timedelta, service: str | None) -> Question:
    return lambda database, sample, _turn: Stats(database).outcomes(sample.end - window, sample.end, service)


def _page(database: Database, wanted: Filter, before: str | None) -> object:
    with database.read() as connection:
        return listing.page(connection, wanted, before=before, limit=_LIMIT)


def _asked(database: Database, query: Callable[..., object], *arguments: object) -> object:
    with database.read() as connection:
        return query(connection, *arguments)


def _of(sample: Sample, turn: int) -> str:
    return sample.ids[turn % len(sample.ids)]
