"""What findings mean under a policy: a pure function."""

from __future__ import annotations

from dataclasses import dataclass

from worker import media_types
from worker.policy import Policy
from worker.scan import SEVERITY, Reason, ReasonCode, Status


@dataclass(frozen=True, slots=True)
class Findings:
    """What inspection found out about exact bytes."""

    filename: str
    declared_type: str | None
    detected_type: str
    reasons: tuple[Reason, ...] = ()  # what scanner, sniffing and image decoder hold against it
    signatures: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # what else other programs would take the same bytes for


def decide(policy: Policy, findings: Findings) -> tuple[Status, tuple[Reason, ...]]:
    """The verdict: the most severe of all reasons' statuses, or clean; and every reason."""
    reasons = findings.reasons + _type_reasons(policy, findings)
    found = {reason.status for reason in reasons}
    return next((status for status in SEVERITY if status in found), Status.CLEAN), reasons


def _type_reasons(policy: Policy, findings: Findings) -> tuple[Reason, ...]:
    detected = findings.detected_type
    if detected == media_types.EMPTY:
        return (Reason(ReasonCode.EMPTY_FILE, "The file is empty, expected at least one byte."),)
    reasons = []
    if not policy.types.intersection(media_types.possible(detected)):
        allowed = ", ".join(sorted(policy.types))
        message = f"The content is {detected}, which is not allowed here, expected one of {allowed}."
        reasons.append(Reason(ReasonCode.TYPE_NOT_ALLOWED, message))
    if not media_types.fits_declared(findings.declared_type, detected):
        message = f"The content is {detected}, but it was declared as {findings.declared_type}."
        reasons.append(Reason(ReasonCode.TYPE_MISMATCH, message))
    if not media_types.fits_extension(findings.filename, detected):
        extension = media_types.extension_of(findings.filename)
        message = f"The content is {detected}, which files called .{extension} do not hold."
        reasons.append(Reason(ReasonCode.TYPE_MISMATCH, message))
    made_anew = media_types.is_image(detected) and not policy.images.keep  # then what else it was is gone
    if findings.also and not made_anew:
        message = f"The content is {detected}, but also {' and '.join(findings.also)}, expected one thing only."
        reasons.append(Reason(ReasonCode.TYPE_MISMATCH, message))
    return tuple(reasons)
