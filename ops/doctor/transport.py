"""TLS: on what leaves this machine, is anything in the clear?"""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import make_url

from ops.doctor.check import Check, Finding, danger, info, judged, ok, warn
from ops.doctor.subject import Subject
from worker.production import is_loopback

_CHECKED = frozenset({"require", "verify-ca", "verify-full"})


def _api(subject: Subject) -> Finding:
    if urlsplit(subject.url).scheme == "https":
        return ok(f"{subject.url} speaks TLS")
    if _is_this_machine(subject.settings.host) and is_loopback(subject.url):
        return info(f"{subject.url} is for this machine alone; what stands in front of it must speak TLS")
    return danger(subject, f"{subject.url} is open to the network, in the clear")


def _store(subject: Subject) -> Finding:
    public = subject.settings.s3_public_url or subject.store.meta.endpoint_url
    if urlsplit(public).scheme == "https":
        return ok(f"{public} speaks TLS")
    if is_loopback(public):
        return info(f"{public} is for this machine alone: clients elsewhere can neither upload directly nor download")
    return danger(subject, f"clients are sent to {public}, in the clear")


def _inside(subject: Subject) -> Finding:
    return judged(_in_the_clear(subject), "TLS, or never off this machine", warn)


def _in_the_clear(subject: Subject) -> list[str]:
    settings, faults = subject.settings, []
    redis, endpoint = settings.redis_url.get_secret_value(), subject.store.meta.endpoint_url
    if urlsplit(redis).scheme == "redis" and not is_loopback(redis):
        faults.append("Redis: its password and which scans there are")
    if urlsplit(endpoint).scheme == "http" and not is_loopback(endpoint):
        faults.append("the object store: files")
    faults += [f"{each}: files" for each in settings.clamd if each.startswith("tcp://") and not is_loopback(each)]
    database = make_url(settings.database_url.get_secret_value())
    host = database.host or database.query.get("host")
    hosts = [host] if isinstance(host, str) else host or ()
    over_network = [each for each in hosts if not each.startswith("/") and not _is_this_machine(each)]
    if over_network and database.query.get("sslmode") not in _CHECKED:
        faults.append("the database (no sslmode=verify-full): everything on record")
    return faults


def _is_this_machine(host: str) -> bool:
    """A host alone, as settings have it: an address of IPv6 in no brackets, and an empty one is every interface."""
    return bool(host) and is_loopback(f"//[{host}]" if ":" in host else f"//{host}")


CHECKS = (
    Check(
        name="api-tls",
        what="the address of the API",
        expected="https, or this machine alone with a proxy that speaks TLS in front",
        mend="put a proxy in front and set LAZARETTO_HOST=127.0.0.1; LAZARETTO_URL tells the doctor the public address",
        look=_api,
    ),
    Check(
        name="store-tls",
        what="where clients upload to and download from",
        expected="https",
        mend="set LAZARETTO_S3_PUBLIC_URL to the store's public address, with https",
        look=_store,
    ),
    Check(
        name="inside-tls",
        what="connections to Redis, database, store and scanners",
        expected="TLS, or a network that nobody else is on",
        mend="rediss://, sslmode=verify-full, https://; a unix socket or a tunnel for clamd, which speaks no TLS",
        look=_inside,
    ),
)
