"""Scans that never were: a month of ten services, as rows of the tables. Some services are a thousand times the size of
others; one has ended, one has just begun; what goes wrong comes in many ways, each of them rarely."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

from worker.scan import HELD, OUTCOMES, Status
from worker.store.tables import events, findings, scans

DAYS = 30
WEIGHTS = {
    "photos": 500, "documents": 200, "avatars": 150, "imports": 80, "mail": 40, "support": 20, "careers": 5, "legal": 1,
    "archive": 100,  # in the first three days alone
    "newcomer": 100,  # in the last two
}  # fmt: skip
SIGNATURES = tuple(f"Win.Trojan.Invented-{number}-0" for number in range(40))
HELD_FOR = timedelta(days=14)
_TYPES = {
    ("image/jpeg", "IMG_{:04d}.jpg"): 60, ("image/png", "screenshot-{:d}.png"): 15,
    ("application/pdf", "invoice-{:d}.pdf"): 12, ("text/plain", "notes {:d}.txt"): 6,
    ("application/zip", "backup_{:d}.zip"): 3, ("image/heic", "IMG_{:04d}.HEIC"): 2,
    ("text/csv", "エクスポート-{:d}.csv"): 1, ("application/x-dosexec", "setup{:d}.exe"): 1,
}  # fmt: skip
_ENDS = {
    Status.CLEAN: 9500, Status.REJECTED: 250, Status.UNSCANNABLE: 100, Status.FAILED: 60, Status.INFECTED: 30,
    Status.EXPIRED: 40, Status.ERASED: 15, Status.RELEASED: 5,
}  # fmt: skip
_CODES = {
    Status.REJECTED: ("type_not_allowed", "type_mismatch", "image_undecodable", "file_too_large", "empty_file"),
    Status.UNSCANNABLE: ("encrypted", "scan_limits_exceeded", "scan_timed_out"),
    Status.RELEASED: ("encrypted",),
}
_FAULTS = ("scanner_unavailable", "worker_lost", "object_store_unavailable")


def _weighed(shares: dict[Any, int]) -> tuple[list[Any], list[int]]:
    """For `_choose`."""
    return list(shares), list(accumulate(shares.values()))


_SERVICES, _KINDS, _OUTCOMES = _weighed(WEIGHTS), _weighed(_TYPES), _weighed(_ENDS)
_PENDING = 400  # of the newest
_STEPS = ((None, Status.RECEIVING), (Status.RECEIVING, Status.QUEUED), (Status.QUEUED, Status.SCANNING))


COLUMNS = {
    "scans": [column.name for column in scans.c],
    "events": [column.name for column in events.c if column is not events.c.id],
    "findings": [column.name for column in findings.c],
}
_IN_ORDER = itemgetter(*COLUMNS["scans"])
_NOTHING: dict[str, Any] = dict.fromkeys(COLUMNS["scans"]) | {
    "lane": "scans", "held": 0, "setbacks": 0, "source_bucket": "", "declared_type": "application/octet-stream",
    "reasons": "[]", "signatures": "[]", "metadata": "{}", "attempts": 0, "decision": 1, "etag": "0" * 32,
}  # fmt: skip


class Rows(NamedTuple):
    """What one scan puts into each table, in the order of `COLUMNS`."""

    scan: tuple[Any, ...]
    events: list[tuple[Any, ...]]
    findings: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Invention:
    """So many scans in `DAYS` until `end`, the same ones each time."""

    number: int
    end: datetime

    def rows(self) -> Iterator[Rows]:
        """One after the other, as they arrive."""
        chance = random.Random(self.number)  # noqa: S311 - nothing is secret here
        begin = self.end - timedelta(days=DAYS)
        for at in range(self.number):
            moment = begin + timedelta(days=DAYS) * ((at + 0.5) / self.number)
            pending = at >= self.number - min(_PENDING, self.number // 20)
            yield self._scan(chance, moment, (moment - begin).days, pending)

    def _scan(self, chance: random.Random, moment: datetime, day: int, pending: bool) -> Rows:
        (kind, pattern), created_at = _choose(chance, _KINDS), worded(moment)
        status = Status.QUEUED if pending else _choose(chance, _OUTCOMES)
        scan = _NOTHING | _blank(chance, moment)
        scan |= {"service": _service(chance, day), "status": status.value, "created_at": created_at}
        scan |= {"filename": pattern.format(chance.randrange(10_000)), "size": int(chance.lognormvariate(12, 2)) + 1}
        scan |= {"name_start": scan["filename"][:32], "updated_at": created_at, "queued_at": created_at}
        if pending:
            return Rows(_IN_ORDER(scan | {"enqueued_at": created_at}), _story(scan, _STEPS[:2], created_at), [])
        seconds = chance.lognormvariate(-1.5, 1)
        finished_at = worded(moment + timedelta(seconds=seconds))
        scan |= {"detected_type": kind, "finished_at": finished_at, "updated_at": finished_at, "attempts": 1}
        scan["clean_prefix"] = f"{scan['service']}/"
        codes, signatures = _found(chance, status)
        scan |= _told(status, codes, signatures)
        if status in HELD and self.end - moment < HELD_FOR:
            scan["quarantine_key"] = f"sealed/{scan['id']}"
        steps = (*_STEPS, *((Status.SCANNING, status),)) if status is Status.FAILED else (*_STEPS, *_settled(status))
        outcome = (",".join(sorted(codes)) or None, round(seconds, 6)) if status in OUTCOMES else (None, None)
        found = [("reason", code, scan["id"]) for code in codes]
        found += [("signature", name, scan["id"]) for name in signatures]
        return Rows(_IN_ORDER(scan), _story(scan, steps, finished_at, outcome), found)


def worded(moment: datetime) -> str:
    """As both databases take it."""
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def _blank(chance: random.Random, moment: datetime) -> dict[str, Any]:
    """An id and a content; one in fifty has come before."""
    bits, digits = chance.getrandbits(256), f"{int(moment.timestamp() * 1000):012x}"
    tail = f"7{bits & 0xFFF:03x}-8{bits >> 12 & 0xFFF:03x}-{bits >> 24 & (1 << 48) - 1:012x}"
    content = bits if chance.random() > 0.02 else chance.randrange(1000)
    return {"id": f"{digits[:8]}-{digits[8:]}-{tail}", "sha256": f"{content:064x}", "request_id": f"{bits >> 128:032x}"}


def _service(chance: random.Random, day: int) -> str:
    while True:
        name: str = _choose(chance, _SERVICES)
        if not ((name == "archive" and day >= 3) or (name == "newcomer" and day < DAYS - 2)):
            return name


def _found(chance: random.Random, status: Status) -> tuple[list[str], list[str]]:
    if status is Status.INFECTED:
        return ["signature_found"], [chance.choice(SIGNATURES)]
    if status is Status.FAILED:
        return [chance.choice(_FAULTS)], []
    return [chance.choice(_CODES[status])] if status in _CODES else [], []


def _told(status: Status, codes: list[str], signatures: list[str]) -> dict[str, Any]:
    """As the record tells it."""
    if status is Status.FAILED:
        return {"error": json.dumps({"code": codes[0], "message": "It did not answer.", "retryable": True})}
    reasons = [{"code": code, "message": "What was found."} for code in codes]
    return {"verdict": status.value, "reasons": json.dumps(reasons), "signatures": json.dumps(signatures)}


def _settled(status: Status) -> tuple[tuple[Status, Status], ...]:
    return (Status.SCANNING, Status.SETTLING), (Status.SETTLING, status)


def _story(
    scan: dict[str, Any], steps: Any, finished_at: str, outcome: tuple[str | None, float | None] = (None, None)
) -> list[tuple[Any, ...]]:
    same, last = (scan["id"], scan["created_at"], "worker invented/1", "as ever", 1), len(steps) - 1
    return [
        (
            same[0],
            finished_at if at == last else same[1],
            same[2],
            source and source.value,
            target.value,
            same[3],
            1,
            None,
        )
        + (outcome if at == last else (None, None))
        for at, (source, target) in enumerate(steps)
    ]


def _choose(chance: random.Random, among: tuple[list[Any], list[int]]) -> Any:
    return chance.choices(among[0], cum_weights=among[1])[0]
