"""Our own processes: do workers and sweeper live, and do all go by one policy?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ops.doctor.check import Check, Finding, fail, info, judged, ok, warn
from ops.doctor.subject import Subject
from worker import clock
from worker.stats import Stats
from worker.store import overdue, scanners, standing

_LAST_SWEEP = "lazaretto_sweeper_last_sweep_timestamp_seconds"
_PATIENCE = timedelta(minutes=2)  # sweeps are seconds apart
_LONGEST = {  # that anything waits before alerts are raised; nobody waits for bulk work
    "scans": timedelta(minutes=5),
    "large": timedelta(minutes=30),
    "webhooks": timedelta(minutes=5),
    "bulk": timedelta(hours=12),
    "rescans": timedelta(hours=12),
}
_URGENT = frozenset({"scans", "webhooks"})
_IN_FORCE = re.compile(r"policy ([0-9a-f]{12}) ")


def _workers(subject: Subject) -> Finding:
    with subject.database.read() as connection:
        fresh = clock.now() - timedelta(seconds=subject.settings.canary_seconds)
        reported = scanners.since(connection, fresh)
    told = [f"{each['name']}: {each['detail']}" for each in reported]
    if not any(each["trusted"] for each in reported):
        return fail("; ".join(["none has a scanner that it trusts", *told]))
    return ok("; ".join(told))


def _queues(subject: Subject) -> Finding:
    """Whoever reports a scanner may work for another queue: of this one, what waits tells."""
    with subject.database.read() as connection:
        _, webhook = standing.webhooks(connection)
    waits = {each.queue: each.oldest for each in Stats(subject.database).now().queues} | {"webhooks": webhook}
    ages = {queue: clock.now() - oldest for queue, oldest in waits.items() if oldest}
    late = {queue: f"{queue}: for {age}".partition(".")[0] for queue, age in ages.items() if age > _LONGEST[queue]}
    return judged(late.values(), "nothing waits for too long", fail if _URGENT & late.keys() else warn)


def _sweeper(subject: Subject) -> Finding:
    """By when it swept last, where the API tells; and by what only a sweeper that is away leaves lying."""
    with subject.database.read() as connection:
        left = overdue.since(connection, clock.now() - _PATIENCE)
    if left:
        return fail("; ".join(f"{number} {what}" for what, number in left.items()))
    swept = _last_sweep(subject)
    if swept is None:
        return info("nothing is left lying that it should have picked up")
    ago = datetime.now(UTC) - swept
    said = f"its last sweep is {ago.total_seconds():.0f} s ago"
    return ok(said) if ago < _PATIENCE else fail(said)


def _last_sweep(subject: Subject) -> datetime | None:
    try:
        answer = subject.api.get("/metrics")
        answer.raise_for_status()
    except httpx.HTTPError:
        return None  # another check says so
    families = text_string_to_metric_families(answer.text)
    swept = max(
        (float(each.value) for family in families for each in family.samples if each.name == _LAST_SWEEP), default=0
    )
    return datetime.fromtimestamp(swept, UTC) if swept else None


def _one_policy(subject: Subject) -> Finding:
    here = subject.policy.fingerprint
    told = subject.api.get("/readyz").json()["checks"]["policy"]["detail"]
    there = _IN_FORCE.search(told)
    if there is None or there[1] != here:
        return fail(f"the API says: {told}; the file here is policy {here}")
    return ok(f"policy {here}, here and in the API")


CHECKS = (
    Check(
        name="workers",
        what="workers, by what they report of their scanners",
        expected="at least one has reported within LAZARETTO_CANARY_SECONDS, and trusts its scanner",
        mend="start a worker; see what its log says with scanner_refused",
        look=_workers,
    ),
    Check(
        name="queues",
        what="what waits for a worker or a notifier",
        expected="no upload and no webhook for five minutes, no large file for 30, no bulk work for half a day",
        mend="start one: ops/runbook.md has the command for each queue, from LazarettoQueueOld on",
        look=_queues,
    ),
    Check(
        name="sweeper",
        what="the sweeper, by what it leaves behind",
        expected="it swept within two minutes, and nothing waits for it",
        mend="start `lazaretto sweep --every 5s`; see what its log says with sweep_failed",
        look=_sweeper,
    ),
    Check(
        name="one-policy",
        what="the policy here and in the API",
        expected="the same: both read LAZARETTO_POLICY_FILE again when it changes",
        mend="lazaretto policy check; put the same file on every machine",
        look=_one_policy,
    ),
)
