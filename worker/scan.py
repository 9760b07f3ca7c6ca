"""The domain: what a scan is, which states it has, and who moves it on. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from worker.lanes import Lane
from worker.pixels import Pixels


class Status(StrEnum):
    """Where a scan stands; the public word for it."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    SCANNING = "scanning"
    SETTLING = "settling"
    CLEAN = "clean"
    INFECTED = "infected"
    REJECTED = "rejected"
    UNSCANNABLE = "unscannable"
    FAILED = "failed"
    RELEASED = "released"
    EXPIRED = "expired"
    ERASED = "erased"

    @property
    def ended(self) -> bool:
        """Is this the end of a decision? Nothing moves on from here by itself but retention."""
        return self not in PENDING


PENDING = frozenset({Status.RECEIVING, Status.QUEUED, Status.SCANNING, Status.SETTLING})
PROMOTED = frozenset({Status.CLEAN, Status.RELEASED})
# What examining a file ends in. Other ends are somebody's decision, or come before anybody looked.
OUTCOMES = frozenset({Status.CLEAN, Status.INFECTED, Status.REJECTED, Status.UNSCANNABLE, Status.FAILED})
HELD = frozenset({Status.UNSCANNABLE, Status.FAILED})  # in quarantine until somebody decides, or retention ends


class Mover(StrEnum):
    """Who moves a scan from one state to the next."""

    INTAKE = "intake"
    WORKER = "worker"
    SWEEPER = "sweeper"
    OPERATOR = "operator"
    SERVICE = "service"


class Transition(NamedTuple):
    """One arrow of the state diagram."""

    source: Status
    target: Status
    mover: Mover
    why: str


_S, _M, _ASKING = Status, Mover, (Mover.SERVICE, Mover.OPERATOR)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(_S.RECEIVING, _S.QUEUED, _M.INTAKE, "every byte is in quarantine"),
    Transition(_S.RECEIVING, _S.QUEUED, _M.SERVICE, "the promised upload is there"),
    Transition(_S.RECEIVING, _S.REJECTED, _M.INTAKE, "the upload broke the size limit"),
    Transition(_S.RECEIVING, _S.EXPIRED, _M.INTAKE, "the client hung up"),
    Transition(_S.RECEIVING, _S.EXPIRED, _M.SWEEPER, "the upload was abandoned"),
    Transition(_S.QUEUED, _S.SCANNING, _M.WORKER, "claimed"),
    Transition(_S.SCANNING, _S.SETTLING, _M.WORKER, "verdict recorded"),
    Transition(_S.SCANNING, _S.QUEUED, _M.WORKER, "a dependency failed, or the worker was stopped; due again"),
    Transition(_S.SCANNING, _S.FAILED, _M.WORKER, "no attempts left, or a permanent fault"),
    Transition(_S.SCANNING, _S.QUEUED, _M.SWEEPER, "the worker was lost"),
    Transition(_S.SCANNING, _S.FAILED, _M.SWEEPER, "the worker was lost too often"),
    Transition(_S.SETTLING, _S.CLEAN, _M.WORKER, "promoted"),
    Transition(_S.SETTLING, _S.INFECTED, _M.WORKER, "deleted"),
    Transition(_S.SETTLING, _S.REJECTED, _M.WORKER, "deleted"),
    Transition(_S.SETTLING, _S.UNSCANNABLE, _M.WORKER, "held"),
    Transition(_S.SETTLING, _S.QUEUED, _M.WORKER, "re-encoding gave other bytes than those proven clean; start over"),
    Transition(_S.SETTLING, _S.RELEASED, _M.WORKER, "promoted, as an operator decided"),
    *(Transition(source, _S.SETTLING, _M.WORKER, "recalled: a rescan found malware") for source in sorted(PROMOTED)),
    *(Transition(source, _S.QUEUED, _M.OPERATOR, "tried again") for source in sorted(HELD)),
    Transition(_S.UNSCANNABLE, _S.SETTLING, _M.OPERATOR, "released, for a reason on record"),
    *(Transition(source, _S.EXPIRED, _M.SWEEPER, "held until its retention ended") for source in sorted(HELD)),
    *(Transition(each, _S.ERASED, by, "erased on request") for each in _S if each is not _S.ERASED for by in _ASKING),
)

ALLOWED: frozenset[tuple[Status, Status, Mover]] = frozenset(each[:3] for each in TRANSITIONS)


class ReasonCode(StrEnum):
    """Why a verdict is not clean; the public codes."""

    SIGNATURE_FOUND = "signature_found"
    TYPE_NOT_ALLOWED = "type_not_allowed"
    TYPE_MISMATCH = "type_mismatch"
    IMAGE_UNDECODABLE = "image_undecodable"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_TOO_MANY_FRAMES = "image_too_many_frames"
    EMPTY_FILE = "empty_file"
    FILE_TOO_LARGE = "file_too_large"
    ENCRYPTED = "encrypted"
    SCAN_LIMITS_EXCEEDED = "scan_limits_exceeded"
    SCAN_TIMED_OUT = "scan_timed_out"
    CONTENT_CHANGED = "content_changed"


_INFECTED = frozenset({ReasonCode.SIGNATURE_FOUND})
_UNSCANNABLE = frozenset({ReasonCode.ENCRYPTED, ReasonCode.SCAN_LIMITS_EXCEEDED, ReasonCode.SCAN_TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding that keeps a file from being clean."""

    code: str  # a `ReasonCode`, or what a newer release has put on record
    message: str

    @property
    def status(self) -> Status:
        """The status that this finding alone would lead to."""
        if self.code in _INFECTED:
            return Status.INFECTED
        return Status.UNSCANNABLE if self.code in _UNSCANNABLE else Status.REJECTED


SEVERITY = (Status.INFECTED, Status.REJECTED, Status.UNSCANNABLE)


@dataclass(frozen=True, slots=True)
class ScannerInfo:
    """Which scanner looked; `database` and its time are None with development signatures."""

    engine: str
    database: str | None
    database_time: datetime | None
    development: bool = False


@dataclass(frozen=True, slots=True)
class Promoted:
    """The object in the clean bucket. Before the promotion: the one that will be there."""

    bucket: str
    key: str
    size: int  # bytes
    sha256: str
    type: str
    pixels: Pixels | None = None  # None: it was not made anew, or before this was on record


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about exact bytes: the status to settle in, and everything that led there."""

    status: Status
    reasons: tuple[Reason, ...] = ()
    signatures: tuple[str, ...] = ()
    detected_type: str | None = None
    scanner: ScannerInfo | None = None
    promoted: Promoted | None = None  # set exactly when the status is CLEAN, or an operator released it
    held: bool = False  # do the bytes stay in quarantine? Where a policy says so of what is UNSCANNABLE


@dataclass(frozen=True, slots=True)
class Content:
    """The exact bytes that a verdict is about."""

    key: str  # in the quarantine bucket, or the clean one; written by us alone
    size: int  # bytes
    sha256: str
    etag: str


@dataclass(frozen=True, slots=True)
class Scan:
    """One upload and what became of it: a row of the table `scans`."""

    id: str
    service: str
    status: Status
    filename: str
    declared_type: str | None
    created_at: datetime
    updated_at: datetime
    decision: int = 1
    attempts: int = 0
    size: int | None = None  # bytes
    sha256: str | None = None
    etag: str | None = None
    quarantine_key: str | None = None  # None once the bytes are gone from there
    lane: Lane = Lane.SCANS  # the queue that it waits in
    source_bucket: str = ""  # of a backfill, which leaves the object alone; empty: quarantine
    source_key: str | None = None  # under incoming/, where the service put the bytes; None: they came through intake
    source_etag: str | None = None  # of what lay there when it was enqueued; None: promised, not enqueued yet
    promised_size: int | None = None  # bytes, where a form was given out for the file
    clean_prefix: str | None = None  # of its keys in the clean bucket; None: the service's name and a slash
    detected_type: str | None = None
    verdict: Status | None = None  # what `settling` will end in
    reasons: tuple[Reason, ...] = ()
    signatures: tuple[str, ...] = ()
    scanner: ScannerInfo | None = None
    promoted: Promoted | None = None
    held: bool = False  # does the verdict leave the bytes in quarantine?
    policy: str | None = None  # fingerprint of the policy that decided
    steps: dict[str, float] | None = None  # what each of the last attempt took, in milliseconds
    setbacks: int = 0  # in a row; the pause grows with them
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    token: str | None = None
    lease_until: datetime | None = None
    due_at: datetime | None = None
    queued_at: datetime | None = None  # since when this decision waits; None: it never did
    enqueued_at: datetime | None = None
    tidy_at: datetime | None = None  # when the sweeper looks, after the end, that the buckets hold what they should
    finished_at: datetime | None = None

    @property
    def sealed(self) -> bool:
        """Are its bytes on record, and where nobody but us can write? Else they are still at `source_key`, if any."""
        return self.sha256 is not None

    @property
    def recalled(self) -> bool:
        """Is it to end otherwise than promoted, with an object of an earlier decision in the clean bucket?"""
        return self.promoted is not None and self.verdict not in PROMOTED


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, for ever on record."""

    at: datetime
    actor: str
    source: Status | None
    target: Status
    reason: str
    decision: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Who moves a scan and why: what the event will say."""

    mover: Mover
    reason: str
    actor: str | None = None  # who exactly; None: the mover's own name says enough
    request_id: str | None = None  # None: the request that brought the scan
