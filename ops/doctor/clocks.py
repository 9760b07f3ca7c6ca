"""Do the machines agree what time it is? Leases, signed requests and expiries go by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from botocore.exceptions import ClientError
from sqlalchemy import text

from ops.doctor.check import Check, Finding, fail, not_applicable, ok, warn
from ops.doctor.subject import Subject
from worker.errors import StoreUnavailable

_NOTICEABLE = timedelta(seconds=2)  # HTTP tells whole seconds
_DANGEROUS = timedelta(seconds=30)  # half as long as a download address works, and as long as a lease


def _database(subject: Subject) -> Finding:
    database = subject.database
    if database.engine.dialect.name == "sqlite":
        return not_applicable("SQLite has no clock of its own")
    with database.read() as connection:
        before = now()
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        ours = before + (now() - before) / 2
    return _compared("the database", theirs - ours)


def _store(subject: Subject) -> Finding:
    """Asked without a signature: a store whose clock is far off refuses one, and tells its time all the same."""
    try:
        headers = subject.anonymous_store.head_bucket(Bucket=subject.buckets[0])["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as fault:
        headers = fault.response["ResponseMetadata"]["HTTPHeaders"]
    told = headers.get("date")
    if not told:
        raise StoreUnavailable("the store does not tell what time it is")
    return _compared("the store", parsedate_to_datetime(told) - now())


def _compared(whose: str, ahead: timedelta) -> Finding:
    said = f"{whose} is {abs(ahead.total_seconds()):.1f} s {'ahead' if ahead > timedelta() else 'behind'}"
    if abs(ahead) > _DANGEROUS:
        return fail(said)
    return warn(said) if abs(ahead) > _NOTICEABLE else ok(said)


def now() -> datetime:
    """By this machine's clock, not the one that our processes follow."""
    return datetime.now(UTC)


_EXPECTED = "the same within 2 s; beyond 30 s work is lost"
_MEND = "have chrony or systemd-timesyncd set the clock of every machine"
CHECKS = (
    Check("database-clock", "this machine's clock against the database's", _EXPECTED, _MEND, _database),
    Check("store-clock", "this machine's clock against the object store's", _EXPECTED, _MEND, _store),
)
