"""The scanners: does each see, how old is what it knows, and how large a file does it take?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ops.doctor.check import Check, Finding, danger, fail, ok, warn, worst
from ops.doctor.subject import Subject
from worker.adapters.clamd import Endpoint
from worker.canaries import check_reach, fly_canaries
from worker.errors import Transient
from worker.scanners import LARGEST

_SECONDS = 60.0


def _canaries(subject: Subject) -> Finding:
    def look(endpoint: Endpoint) -> Finding:
        fly_canaries(endpoint)
        return ok(f"{endpoint.address} flags what it must")

    return _each(subject, look)


def _signatures(subject: Subject) -> Finding:
    limit = timedelta(hours=subject.settings.signature_max_age_hours)

    def look(endpoint: Endpoint) -> Finding:
        version = endpoint.version()
        if version.database is None or version.database_time is None:
            return danger(subject, f"{endpoint.address} has development signatures, and knows no real malware")
        age = datetime.now(UTC) - version.database_time
        said = f"{endpoint.address} has signatures {version.database}, {age.total_seconds() / 3600:.0f} h old"
        if age > limit:
            return fail(said)
        return warn(said) if age > limit / 2 else ok(said)

    return _each(subject, look)


def _reach(subject: Subject) -> Finding:
    largest = min(subject.policy.largest_upload, LARGEST)

    def look(endpoint: Endpoint) -> Finding:
        check_reach(endpoint, largest)
        return ok(f"{endpoint.address} takes {largest} bytes")

    return _each(subject, look)


def _each(subject: Subject, look: Callable[[Endpoint], Finding]) -> Finding:
    """One that cannot be asked says nothing about the next."""

    def looked(endpoint: Endpoint) -> Finding:
        try:
            return look(endpoint)
        except Transient as fault:
            return fail(fault.message)

    return worst(looked(endpoint) for endpoint in subject.endpoints)


CHECKS = (
    Check(
        name="canaries",
        what="every scanner, given files that it must flag",
        expected="it finds EICAR, an encrypted zip and a zip nested too deep",
        mend="start clamd (again, if it is silent) with ops/clamav/clamd.conf: AlertEncrypted yes, AlertExceedsMax yes",
        look=_canaries,
        seconds=_SECONDS,
    ),
    Check(
        name="signatures",
        what="the signatures of every scanner",
        expected="ClamAV's own, no older than LAZARETTO_SIGNATURE_MAX_AGE_HOURS; half of that is a warning",
        mend="if clamd answers, run freshclam, and see in its log why it did not; clamd loads them within ten minutes",
        look=_signatures,
        seconds=_SECONDS,
    ),
    Check(
        name="scanner-limits",
        what="the largest file that every scanner takes",
        expected="the policy's largest max_size",
        mend="raise StreamMaxLength in clamd.conf, or lower max_size in the policy",
        look=_reach,
        seconds=_SECONDS,
    ),
)
