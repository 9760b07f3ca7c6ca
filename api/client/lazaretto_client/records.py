"""What the server answers, typed. A newer server may send more: it is in `raw`, and disturbs nobody.

Statuses and codes are plain text, since new ones may be added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self, TypeVar

T = TypeVar("T")
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding that keeps a file from being clean. `code` is for programs: `type_mismatch`, `encrypted`, …"""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Scanner:
    """Who looked. `database` and its time are None with development signatures."""

    engine: str
    database: str | None = None
    database_time: datetime | None = None
    development: bool = False


@dataclass(frozen=True, slots=True)
class Promoted:
    """The object in the clean bucket; `size` in bytes. An image is not the bytes that were uploaded."""

    bucket: str
    key: str
    size: int
    sha256: str
    type: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What last stopped a worker."""

    code: str
    message: str
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """One upload and what became of it. `size`, `sha256` and the types are None until they are known."""

    id: str
    status: str  # receiving, queued, scanning, settling; clean, released; infected, rejected, unscannable, failed, …
    filename: str
    service: str = ""
    size: int | None = None  # bytes
    sha256: str | None = None
    declared_type: str | None = None
    detected_type: str | None = None
    reasons: tuple[Reason, ...] = ()
    signatures: tuple[str, ...] = ()
    scanner: Scanner | None = None
    promoted: Promoted | None = None
    policy: str | None = None  # the version of it that decided
    attempts: int = 0
    decision: int = 1
    error: Failure | None = None
    metadata: Record = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    raw: Record = field(default_factory=dict, repr=False, compare=False)  # as it came

    @property
    def ended(self) -> bool:
        """Is it decided, and the decision carried out?"""
        return self.finished_at is not None

    @property
    def passed(self) -> bool:
        """Is there a promoted file to fetch? The only question that most programs need ask."""
        return self.promoted is not None

    @classmethod
    def of(cls, record: Record) -> Self:
        """From the server's JSON. Raises `KeyError`, `TypeError` or `ValueError` where it is no scan."""
        return _made(
            cls,
            record,
            reasons=tuple(_made(Reason, each) for each in record.get("reasons", ())),
            signatures=tuple(record.get("signatures", ())),
            scanner=_scanner(record.get("scanner")),
            promoted=_made(Promoted, record["promoted"]) if record.get("promoted") else None,
            error=_made(Failure, record["error"]) if record.get("error") else None,
            **{name: moment(record.get(name)) for name in ("created_at", "updated_at", "finished_at")},
            raw=record,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some scans, newest first. `next_cursor` asks for those after; None at the end."""

    items: tuple[Scan, ...]
    next_cursor: str | None

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(tuple(Scan.of(each) for each in record["items"]), record.get("next_cursor"))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the way along all scans, and how many on it were meant. `next_cursor` goes on; None at the end."""

    count: int
    next_cursor: str | None

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls(int(record["count"]), record.get("next_cursor"))


@dataclass(frozen=True, slots=True)
class Transition:
    """One step in the story of a scan."""

    at: datetime | None
    actor: str
    source: str | None  # the status before; None for the first
    target: str
    reason: str
    request_id: str | None
    decision: int
    raw: Record = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, record: Record) -> Self:
        return _made(cls, record, at=moment(record["at"]), source=record.get("from"), target=record["to"], raw=record)


@dataclass(frozen=True, slots=True)
class Retried:
    """What a call has put back in line, and what is left for the next one."""

    count: int
    remaining: int
    ended_before: datetime | None
    dry_run: bool = False
    raw: Record = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, record: Record) -> Self:
        count, remaining = int(record["count"]), int(record["remaining"])
        ended_before = moment(record.get("ended_before"))
        return _made(cls, record, count=count, remaining=remaining, ended_before=ended_before, raw=record)


def moment(text: str | None) -> datetime | None:
    """A time as the server writes it (RFC 3339)."""
    return None if text is None else datetime.fromisoformat(text)


def _scanner(record: Record | None) -> Scanner | None:
    return _made(Scanner, record, database_time=moment(record.get("database_time"))) if record else None


def _made(kind: type[T], record: Record, **values: Any) -> T:
    """A record of this kind: what it knows of the JSON, with `values` in place of what is not taken as it is."""
    known: Mapping[str, Any] = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return kind(**{name: value for name, value in record.items() if name in known} | values)
