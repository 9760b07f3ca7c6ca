"""Use case: one scan, from its claim to its outcome. claim ▸ inspect ▸ decide ▸ settle

A task may be delivered any number of times, in parallel, and its worker be killed anywhere. One claim wins and draws
a token that every later write carries; whoever finds it gone stops quietly. What a dead worker left behind is found
by the sweeper: `scanning` starts over, `settling` goes on from the recorded verdict.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import structlog

from worker import metrics, steps, telemetry
from worker.custody import Claim, Custody
from worker.decide import decide
from worker.errors import ContentChanged, ObjectMissing, Permanent, ReencodingChanged, SandboxFailed
from worker.inspect import Inspection, Inspector, Picture
from worker.instruments import Attempt, Step
from worker.keys import clean_key
from worker.lease import Lease
from worker.policies import Policies
from worker.policy import Policy
from worker.scan import Cause, Content, Mover, Promoted, Reason, ReasonCode, Scan, Status, Verdict
from worker.scratch import Scratch
from worker.seal import Sealer
from worker.settings import Settings
from worker.settle import Settler
from worker.store import claims
from worker.store.database import Database
from worker.store.rows import verdict_values
from worker.telemetry import Log


class Pipeline:
    """The whole path of a scan. One per worker process; one scan at a time."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        sealer: Sealer,
        inspector: Inspector,
        settler: Settler,
        policies: Policies,
        settings: Settings,
    ) -> None:
        self._database, self._custody = database, custody
        self._sealer, self._inspector, self._settler = sealer, inspector, settler
        self._policies, self._settings = policies, settings
        self._lease: Lease | None = None
        self._stopping = False

    def run(self, scan_id: str) -> Scan | None:
        """Bring a scan as far as it goes now; what stops it is decided upon and on record. Returns the scan as it was
        claimed; None: it was not to be had.

        Raises `DatabaseUnavailable` where nothing can be put on record; then the lease ends by itself.
        """
        claim = None if self._stopping else self._custody.take(scan_id)
        if claim is None:
            telemetry.say(Log.SCAN_NOT_OURS, scan_id=scan_id)
            return None
        with (
            structlog.contextvars.bound_contextvars(scan_id=scan_id, request_id=claim.scan.request_id),
            steps.of_one_attempt(),
            self._leased(claim) as lease,
        ):
            try:
                self._carry_through(claim.scan, lease)
            except Exception as fault:  # noqa: BLE001 - whatever went wrong is decided upon
                self._custody.give_back(claim.scan, lease.fault or fault)  # who is interrupted fails in ways of its own
            finally:
                self._lease = None
        return claim.scan

    def stop(self) -> None:
        """Hand back the scan at work, soon, and begin no other. Takes no lock: safe in a signal handler."""
        self._stopping = True
        self._custody.hurry()
        if lease := self._lease:
            lease.stop()

    def _leased(self, claim: Claim) -> Lease:
        self._lease = Lease(
            self._database,
            claim.scan,
            begun=claim.begun,
            seconds=self._settings.lease_seconds,
            limit=self._settings.scan_timeout,
            interrupt=self._inspector.interrupt,
        )
        if self._stopping:
            self._lease.stop()
        return self._lease

    def _carry_through(self, scan: Scan, lease: Lease) -> None:
        """inspect ▸ decide ▸ settle, or settle alone where the verdict is on record already."""
        resumed, policy = scan.status is Status.SETTLING, self._policies.of(scan.service)
        with ExitStack() as desk:  # whatever is fetched or made lies here until the end
            proven: Scratch | None = None
            if not resumed:
                scan, verdict, proven = self._examine(scan, policy, lease, desk)
                scan = self._record(scan, policy, verdict)

            def bytes_to_promote() -> Scratch:
                return proven or self._made_again(scan, policy, lease, desk)

            with metrics.step(Step.SETTLE):
                try:
                    key = None if scan.recalled else _key(scan)
                    self._settler.settle(scan, key, lease, bytes_to_promote, resumed)
                except ContentChanged:
                    scan = self._condemned(scan)
                    self._settler.delete(_key(scan), lease)
                self._sealer.remove_source(scan, lease)
            self._finish(scan)

    def _examine(
        self, scan: Scan, policy: Policy, lease: Lease, desk: ExitStack
    ) -> tuple[Scan, Verdict, Scratch | None]:
        """inspect ▸ decide; and the bytes that the verdict would promote. The scan may be sealed by now."""
        fetched = self._fetched(scan, policy, lease, desk)
        if isinstance(fetched, Reason):
            return scan, Verdict(fetched.status, (fetched,)), None
        scan, file = fetched
        with metrics.step(Step.INSPECT):
            inspection = self._inspector.inspect(file, scan, policy)
        picture = inspection.picture and desk.enter_context(inspection.picture.file)
        lease.check()
        return scan, self._verdict(scan, policy, inspection), picture or file

    def _fetched(self, scan: Scan, policy: Policy, lease: Lease, desk: ExitStack) -> tuple[Scan, Scratch] | Reason:
        """The exact bytes that the verdict will be about; or why there will be no look at them."""
        if scan.source_key is not None and not scan.sealed:
            with metrics.step(Step.SEAL):
                return self._sealer.seal(scan, policy.max_size, lease, desk)
        try:
            return scan, desk.enter_context(self._inspector.fetch(_content(scan), lease.check))
        except ContentChanged:
            return _changed()

    def _made_again(self, scan: Scan, policy: Policy, lease: Lease, desk: ExitStack) -> Scratch:
        """The bytes to promote by a verdict that another worker recorded, whose object is not there yet.

        Raises `ContentChanged` where they are gone, and `ReencodingChanged` where the image cannot be made once more:
        that it could, or what was made, will not come back by waiting.
        """
        try:
            file = desk.enter_context(self._inspector.fetch(_content(scan), lease.check))
        except ObjectMissing as fault:
            raise ContentChanged from fault
        if scan.promoted is None or scan.promoted.sha256 == scan.sha256:
            return file
        try:
            picture = self._inspector.remake(file, scan.detected_type or "", policy)
        except SandboxFailed as fault:
            raise ReencodingChanged from fault
        if not isinstance(picture, Picture):
            raise ReencodingChanged
        desk.enter_context(picture.file)
        if picture.file.sha256() != scan.promoted.sha256:
            raise ReencodingChanged
        return picture.file

    def _verdict(self, scan: Scan, policy: Policy, inspection: Inspection) -> Verdict:
        status, reasons = decide(policy, inspection.findings)
        findings = inspection.findings
        promoted = self._planned(scan, inspection) if status is Status.CLEAN else None
        held = status is Status.UNSCANNABLE and policy.unscannable == "hold"
        return Verdict(status, reasons, findings.signatures, findings.detected_type, inspection.scanner, promoted, held)

    def _planned(self, scan: Scan, inspection: Inspection) -> Promoted:
        bucket, key, picture = self._settings.clean_bucket, clean_key(scan), inspection.picture
        if picture:
            file = picture.file
            return Promoted(bucket, key, file.size, file.sha256(), picture.type, picture.pixels)
        content = _content(scan)
        return Promoted(bucket, key, content.size, content.sha256, inspection.findings.detected_type)

    def _record(self, scan: Scan, policy: Policy, verdict: Verdict) -> Scan:
        """The verdict goes on record before any of its effects. Raises `LeaseLost`."""
        values = verdict_values(verdict) | {"policy": policy.fingerprint, "error": None, "setbacks": 0}
        return self._move(scan, Status.SETTLING, _summary(verdict.status, verdict.reasons), **values)

    def _condemned(self, scan: Scan) -> Scan:
        """The bytes changed after the verdict, which goes on record before they are deleted. Raises `LeaseLost`."""
        reasons = (*scan.reasons, _changed())
        verdict = Verdict(Status.REJECTED, reasons, scan.signatures, scan.detected_type, scan.scanner)
        with self._database.write() as connection:
            claims.amend(connection, scan, **verdict_values(verdict))
        return replace(scan, verdict=verdict.status, reasons=reasons, promoted=None, held=False)

    def _finish(self, scan: Scan) -> None:
        target = scan.verdict or Status.UNSCANNABLE
        key = scan.quarantine_key if scan.held else None
        ended = self._move(scan, target, _summary(target, scan.reasons), quarantine_key=key, error=None, setbacks=0)
        metrics.attempted(Attempt.ENDED)
        telemetry.say(Log.SCAN_ENDED, status=ended.status.value, attempts=ended.attempts, size=ended.size)

    def _move(self, scan: Scan, target: Status, why: str, **values: Any) -> Scan:
        cause = Cause(Mover.WORKER, why, self._custody.actor)
        with self._database.write() as connection:
            return claims.move(connection, scan, target, cause, steps=steps.so_far(), **values)


def _key(scan: Scan) -> str:
    """Where its bytes lie in quarantine. Raises `Permanent` where the record does not say."""
    if scan.quarantine_key is None:
        raise Permanent(f"the record of {scan.id} does not say where its bytes are")
    return scan.quarantine_key


def _content(scan: Scan) -> Content:
    """The exact bytes on record. Raises `Permanent` where the record does not say."""
    if scan.size is None or scan.sha256 is None or scan.etag is None:
        raise Permanent(f"the record of {scan.id} does not say which bytes it is about")
    return Content(_key(scan), scan.size, scan.sha256, scan.etag)


def _changed() -> Reason:
    return Reason(ReasonCode.CONTENT_CHANGED, "The bytes in quarantine are not those that were uploaded.")


def _summary(status: Status, reasons: tuple[Reason, ...]) -> str:
    """What the event says: the verdict, and the codes behind it."""
    if status is Status.RELEASED:
        return f"{status.value}: promoted, as an operator decided"
    codes = ", ".join(dict.fromkeys(reason.code for reason in reasons))
    return f"{status.value}: {codes}" if codes else f"{status.value}: passed every check"
