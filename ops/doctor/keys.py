"""API keys: which would be missed least, and missed most?"""

from __future__ import annotations

from datetime import timedelta

from ops.doctor.check import Check, Finding, judged, warn
from ops.doctor.subject import Subject
from worker import clock
from worker.services import Scope
from worker.store import services
from worker.store.services import KeyRecord

_UNUSED = timedelta(days=90)


def _operators(subject: Subject) -> Finding:
    for_good = [key for key in _valid(subject) if Scope.OPERATE in key.scopes and key.expires_at is None]
    faults = [f"{key.prefix} of {key.service}" for key in for_good]
    return judged(faults, "each key that may operate expires", lambda told: warn(f"for good: {told}"))


def _unused(subject: Subject) -> Finding:
    since = clock.now() - _UNUSED
    idle = [key for key in _valid(subject) if (key.last_used_at or key.created_at) < since]
    return judged((f"{key.prefix} of {key.service}" for key in idle), "each is in use, or new", warn)


def _valid(subject: Subject) -> list[KeyRecord]:
    with subject.database.read() as connection:
        return [key for key in services.all_keys(connection, None) if key.valid_at(clock.now())]


CHECKS = (
    Check(
        name="operator-keys",
        what="keys that may release, erase and see everything",
        expected="each expires",
        mend="lazaretto keys create SERVICE --scope operate --scope read --scope submit --expires-in 90d, then "
        "lazaretto keys revoke PREFIX",
        look=_operators,
    ),
    Check(
        name="unused-keys",
        what="keys that nobody has used for 90 days",
        expected="none: whoever finds one could",
        mend="lazaretto keys revoke PREFIX",
        look=_unused,
    ),
)
