"""Settings and policy, as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from ops.doctor.check import Check, Finding, danger, fail, info, judged, not_applicable, ok, warn
from ops.doctor.subject import Subject
from worker.scanners import LARGEST
from worker.settings import Settings


def _settings(subject: Subject) -> Finding:
    return judged(subject.faults, "every setting can be read, and none is refused")


def _mode(subject: Subject) -> Finding:
    return ok("production") if subject.production else warn("development, in which weak settings are let pass")


def _time_outs(subject: Subject) -> Finding:
    return judged(_out_of_order(subject.settings), "each ends before the one around it")


def _out_of_order(settings: Settings) -> Iterator[str]:
    """Not only what the settings refuse by themselves."""
    order = [
        ("two calls to the store", settings.s3_call_limit, "two thirds of a lease", settings.lease_seconds * 2 / 3),
        ("a call of the sandbox", settings.sandbox_seconds, "a scan", settings.scan_timeout),
        ("a lease", settings.lease_seconds, "a scan", settings.scan_timeout),
        ("a task", settings.task_limit, "Redis' visibility_timeout", settings.visibility_timeout),
        ("an upload form", settings.presigned_seconds, "receive_timeout", settings.receive_timeout),
        ("a pause of retries", settings.retry_base, "the longest", settings.retry_cap),
        ("a pause of webhooks", settings.webhook_retry_base, "the longest", settings.webhook_retry_cap),
    ]
    for shorter, seconds, longer, limit in order:
        if seconds > limit:
            yield f"{shorter} may take {seconds:g} s, {longer} {limit:g} s"


def _policy(subject: Subject) -> Finding:
    policy = subject.policy
    return ok(f"policy {policy.fingerprint}, with rules of their own for {len(policy.services)} services")


def _upload_limits(subject: Subject) -> Finding:
    policy = subject.policy
    if policy.largest_upload > LARGEST + 3:  # 2 GiB, as the policy calls what ClamAV cuts down by three bytes
        return fail(f"files of up to {policy.largest_upload} bytes are taken, of which none above {LARGEST} is scanned")
    named = {"the default": policy.default, **policy.services}
    free = [name for name, each in named.items() if each.limits.requests_per_minute is None]
    if free:
        return info(f"no file above {policy.largest_upload} bytes; no limit of requests for {', '.join(free)}")
    return ok(f"no file above {policy.largest_upload} bytes, and each service has a limit of requests")


def _receivers(subject: Subject) -> Finding:
    policy = subject.policy
    urls = {
        _receiver(str(each.webhook_url)) for each in (policy.default, *policy.services.values()) if each.webhook_url
    }
    if not urls:
        return not_applicable("no service is told of outcomes")
    plain = sorted(url for url in urls if not url.startswith("https://"))
    if plain:
        return danger(subject, f"in the clear: {', '.join(plain)}")
    return ok(f"{len(urls)} by https")


def _receiver(url: str) -> str:
    """Whose it is: what comes behind the host is often a secret of its own."""
    address = urlsplit(url)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"


CHECKS = (
    Check(
        name="settings",
        what="the settings of this installation",
        expected="all can be read, and processes start with them",
        mend="change what is named in the environment, .env or stack.env",
        look=_settings,
    ),
    Check(
        name="mode",
        what="LAZARETTO_ENV",
        expected="production, where files of others are taken in",
        mend="set LAZARETTO_ENV=production: then what is dangerous refuses to start",
        look=_mode,
    ),
    Check(
        name="time-outs",
        what="the order of time-outs",
        expected="whatever waits for another waits longer than it takes",
        mend="raise the longer setting, or lower the shorter one",
        look=_time_outs,
    ),
    Check(
        name="policy",
        what="the policy file",
        expected="can be read, and has no fault",
        mend="lazaretto policy check names each fault and its line",
        look=_policy,
    ),
    Check(
        name="upload-limits",
        what="the sizes that the policy takes",
        expected="no file larger than a scanner looks into (2 GiB), and a limit of requests for each service",
        mend="lower max_size, set limits.requests_per_minute",
        look=_upload_limits,
    ),
    Check(
        name="webhook-receivers",
        what="where webhooks are sent",
        expected="https, for they tell names and outcomes",
        mend="change webhook_url in the policy",
        look=_receivers,
    ),
)
