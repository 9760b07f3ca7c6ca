"""Use case: one scan, from its claim to its outcome. claim ▸ inspect ▸ decide ▸ settle

A task may be delivered any number of times, in parallel, and its worker be killed anywhere. One claim wins and draws
a token that every later write carries; whoever finds it gone stops quietly. What a dead worker left behind is found
by the sweeper: `scanning` starts over, `settling` goes on from the recorded verdict.
"""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import or_

from worker import clock, setback, telemetry
from worker.errors import ContentChanged, LeaseLost, Permanent, ReencodingChanged
from worker.inspect import Inspection, Inspector, Picture
from worker.lease import Lease
from worker.policy import Policy, PolicyFile, decide
from worker.retries import Pace
from worker.scan import Cause, Content, Promoted, Reason, ReasonCode, Scan, Status, Verdict
from worker.settings import Settings
from worker.settle import Settler, clean_key
from worker.store import scans
from worker.store.database import Database
from worker.store.rows import verdict_values
from worker.store.tables import scans as rows
from worker.telemetry import Log

_ACTOR = "worker"


class Pipeline:
    """The whole path of a scan. One per worker process; one scan at a time."""

    def __init__(
        self, database: Database, inspector: Inspector, settler: Settler, policies: PolicyFile, settings: Settings
    ) -> None:
        self._database, self._inspector, self._settler = database, inspector, settler
        self._policies, self._settings = policies, settings
        self._pace = Pace(settings.max_attempts, settings.retry_base, settings.retry_cap)

    def run(self, scan_id: str) -> None:
        """Bring a scan as far as it goes now; what stops it is decided upon and on record.

        Raises `DatabaseUnavailable` where nothing can be put on record; then the lease ends by itself.
        """
        begun = time.monotonic()
        scan = self._claim(scan_id)
        if scan is None or scan.token is None:
            telemetry.say(Log.SCAN_NOT_OURS, scan_id=scan_id)
            return
        with (
            structlog.contextvars.bound_contextvars(scan_id=scan_id, request_id=scan.request_id),
            Lease(self._database, scan_id, scan.token, self._settings.lease_seconds, begun) as lease,
        ):
            try:
                self._carry_through(scan, lease)
            except LeaseLost:
                telemetry.warn(Log.LEASE_LOST)
            except Exception as fault:  # noqa: BLE001 - whatever went wrong is decided upon
                setback.record(self._database, scan, fault, self._pace)

    def _carry_through(self, scan: Scan, lease: Lease) -> None:
        """inspect ▸ decide ▸ settle, or settle alone where the verdict is on record already."""
        resumed = scan.status is Status.SETTLING
        policy = self._policies.of(scan.service)
        with ExitStack() as desk:  # whatever is fetched or made lies here until the end
            picture = None
            if not resumed:
                verdict, picture = self._examine(scan, policy, desk)
                scan = self._record(scan, verdict, policy)
            try:
                remade = lambda: picture or self._remade(scan, policy, desk)  # noqa: E731
                self._settler.settle(scan, _content(scan), lease, remade, resumed)
            except ContentChanged:
                scan = self._condemned(scan)
                self._settler.delete(_content(scan), lease)
            self._finish(scan)

    def _claim(self, scan_id: str) -> Scan | None:
        """Make a scan ours: a waiting one that is due, or one whose settling was left. None: not to be had."""
        now = clock.now()
        ours = {"token": secrets.token_hex(16), "lease_until": now + timedelta(seconds=self._settings.lease_seconds)}
        due = or_(rows.c.due_at.is_(None), rows.c.due_at <= now)
        left = (rows.c.status == Status.SETTLING.value, rows.c.lease_until < now)
        with self._database.write() as connection:
            cause = Cause(_ACTOR, "claimed")
            scan = scans.move(
                connection, scan_id, Status.QUEUED, Status.SCANNING, cause, due, attempts=rows.c.attempts + 1, **ours
            )
            if scan is None and scans.amend(connection, scan_id, *left, **ours):
                scan = scans.get(connection, scan_id)
        return scan

    def _examine(self, scan: Scan, policy: Policy, desk: ExitStack) -> tuple[Verdict, Picture | None]:
        """inspect ▸ decide"""
        try:
            file = desk.enter_context(self._inspector.fetch(_content(scan)))
        except ContentChanged:
            return Verdict(Status.REJECTED, (_changed(),)), None
        inspection = self._inspector.inspect(file, scan, policy)
        if inspection.picture:
            desk.enter_context(inspection.picture.file)
        return self._verdict(scan, inspection, policy), inspection.picture

    def _verdict(self, scan: Scan, inspection: Inspection, policy: Policy) -> Verdict:
        status, reasons = decide(policy, inspection.findings)
        findings = inspection.findings
        promoted = self._planned(scan, inspection) if status is Status.CLEAN else None
        return Verdict(status, reasons, findings.signatures, findings.detected_type, inspection.scanner, promoted)

    def _planned(self, scan: Scan, inspection: Inspection) -> Promoted:
        bucket, key, picture = self._settings.clean_bucket, clean_key(scan), inspection.picture
        if picture:
            return Promoted(bucket, key, picture.file.size, picture.file.sha256(), picture.type)
        content = _content(scan)
        return Promoted(bucket, key, content.size, content.sha256, inspection.findings.detected_type)

    def _record(self, scan: Scan, verdict: Verdict, policy: Policy) -> Scan:
        """The verdict goes on record before any of its effects. Raises `LeaseLost`."""
        cause = Cause(_ACTOR, _summary(verdict.status, verdict.reasons))
        values = verdict_values(verdict) | {"policy": policy.fingerprint, "error": None}
        return self._moved(scan, Status.SCANNING, Status.SETTLING, cause, **values)

    def _condemned(self, scan: Scan) -> Scan:
        """The bytes changed after the verdict, which goes on record before they are deleted. Raises `LeaseLost`."""
        reasons = (*scan.reasons, _changed())
        verdict = Verdict(Status.REJECTED, reasons, scan.signatures, scan.detected_type, scan.scanner)
        ours = (rows.c.status == Status.SETTLING.value, rows.c.token == scan.token)
        with self._database.write() as connection:
            if not scans.amend(connection, scan.id, *ours, **verdict_values(verdict)):
                raise LeaseLost
        return replace(scan, verdict=verdict.status, reasons=reasons, promoted=None)

    def _remade(self, scan: Scan, policy: Policy, desk: ExitStack) -> Picture:
        """The image of a verdict that another worker recorded, made again."""
        file = desk.enter_context(self._inspector.fetch(_content(scan)))
        picture = self._inspector.remake(file, scan.detected_type or "", policy)
        if not isinstance(picture, Picture):
            raise ReencodingChanged
        desk.enter_context(picture.file)
        if scan.promoted is None or picture.file.sha256() != scan.promoted.sha256:
            raise ReencodingChanged
        return picture

    def _finish(self, scan: Scan) -> None:
        target = scan.verdict or Status.UNSCANNABLE
        held = scan.quarantine_key if target is Status.UNSCANNABLE else None
        cause = Cause(_ACTOR, _summary(target, scan.reasons))
        ended = self._moved(scan, Status.SETTLING, target, cause, quarantine_key=held, error=None)
        telemetry.say(Log.SCAN_ENDED, status=ended.status.value, attempts=ended.attempts, size=ended.size)

    def _moved(self, scan: Scan, source: Status, target: Status, cause: Cause, **values: Any) -> Scan:
        with self._database.write() as connection:
            moved = scans.move(connection, scan.id, source, target, cause, rows.c.token == scan.token, **values)
        if moved is None:
            raise LeaseLost
        return moved


def _content(scan: Scan) -> Content:
    """The exact bytes on record. Raises `Permanent` where the record does not say."""
    if scan.quarantine_key is None or scan.size is None or scan.sha256 is None or scan.etag is None:
        raise Permanent(f"the record of {scan.id} does not say which bytes it is about")
    return Content(scan.quarantine_key, scan.size, scan.sha256, scan.etag)


def _changed() -> Reason:
    return Reason(ReasonCode.CONTENT_CHANGED, "The bytes in quarantine are not those that were uploaded.")


def _summary(status: Status, reasons: tuple[Reason, ...]) -> str:
    """What the event says: the verdict, and the codes behind it."""
    codes = ", ".join(dict.fromkeys(reason.code.value for reason in reasons))
    return f"{status.value}: {codes}" if codes else f"{status.value}: passed every check"
