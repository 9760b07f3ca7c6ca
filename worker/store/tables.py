"""The tables. Their history is in `worker/migrations`; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    and_,
    desc,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment in UTC, also on SQLite, which forgets time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
RowNumber = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself on SQLite

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

services = Table(
    "services",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the key, in hex: keys are random, so no salt
    Column("prefix", String(16), nullable=False),
    Column("service", ForeignKey("services.name"), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),  # to the minute
    Column("lifetime", BigInteger),  # seconds, as it was asked for, and as its successors get it; NULL: for good
)
Index("ix_api_keys_prefix", api_keys.c.prefix)  # what people call a key by

scans = Table(
    "scans",
    metadata,
    Column("id", String(36), primary_key=True),  # UUIDv7: the order of ids is the order of arrival
    Column("service", ForeignKey("services.name"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger),
    Column("sha256", String(64)),
    Column("etag", String(128)),
    Column("quarantine_key", Text),  # NULL once the bytes are gone from there
    Column("source_key", Text),  # under incoming/: promised to, or written by, the service itself
    Column("source_etag", String(128)),  # NULL: promised, not enqueued yet
    Column("promised_size", BigInteger),  # what the form was for, and what the service's quota has paid for
    Column("clean_prefix", Text),  # NULL: the service's name and a slash
    Column("declared_type", Text),
    Column("detected_type", Text),
    Column("verdict", String(16)),
    Column("reasons", Json, nullable=False),
    Column("signatures", Json, nullable=False),
    Column("scanner", Json),
    Column("promoted", Json),
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("policy", String(64)),
    Column("setbacks", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False),
    Column("decision", Integer, nullable=False),
    Column("error", Json),
    Column("metadata", Json, nullable=False),
    Column("request_id", Text),
    Column("token", String(32)),
    Column("lease_until", UtcDateTime),
    Column("due_at", UtcDateTime),
    Column("enqueued_at", UtcDateTime),
    Column("tidy_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
)
Index("ix_scans_service_id", scans.c.service, desc(scans.c.id))  # a service's list
Index("ix_scans_status_id", scans.c.status, desc(scans.c.id))  # a list by status
Index("ix_scans_clean_prefix_id", scans.c.clean_prefix, scans.c.id)  # reconcile walks along the clean bucket
Index("ix_scans_sha256", scans.c.sha256)  # what became of these bytes?
# The sweeper: which scans does no task stand for? Few, whatever the number of rows, and of scans that wait.
_pending = scans.c.finished_at.is_(None)
Index("ix_scans_pending", scans.c.status, scans.c.enqueued_at, sqlite_where=_pending, postgresql_where=_pending)

_untidy = and_(scans.c.tidy_at.is_not(None), scans.c.finished_at.is_not(None))
Index("ix_scans_untidy", scans.c.tidy_at, sqlite_where=_untidy, postgresql_where=_untidy)
_held = and_(scans.c.quarantine_key.is_not(None), scans.c.finished_at.is_not(None))
Index("ix_scans_held", scans.c.status, scans.c.finished_at, sqlite_where=_held, postgresql_where=_held)
_in_quarantine = scans.c.quarantine_key.is_not(None)
Index("ix_scans_in_quarantine", scans.c.id, sqlite_where=_in_quarantine, postgresql_where=_in_quarantine)

# The same object enqueued twice is one scan; a promised key has no ETag yet and is no other scan's.
_sourced = scans.c.source_key.is_not(None)
Index(
    "ix_scans_source",
    scans.c.source_key,
    scans.c.source_etag,
    unique=True,
    sqlite_where=_sourced,
    postgresql_where=_sourced,
)

# A request that was sent with an `Idempotency-Key`: in flight (leased), or bound to the scan that it led to.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("service", ForeignKey("services.name"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("token", String(32), nullable=False),  # whose request is in flight
    Column("lease_until", UtcDateTime),  # NULL once bound
    Column("fingerprint", String(64)),  # SHA-256 of the request, in hex; NULL while in flight
    Column("scan_id", ForeignKey("scans.id")),
    Column("created_at", UtcDateTime, nullable=False),
)
Index("ix_idempotency_keys_created_at", idempotency_keys.c.created_at)  # what is over

# By what webhooks are signed. A service that has one is told of every outcome.
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("service", ForeignKey("services.name"), nullable=False),
    Column("secret", Text, nullable=False),  # as it is: signing needs it
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),  # NULL: the present one
)
Index("ix_webhook_secrets_service", webhook_secrets.c.service)

# The outbox: one row for each terminal event, added in its transaction.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),  # `webhook-id`: msg_ and a UUIDv7, so in the order of events
    Column("service", ForeignKey("services.name"), nullable=False),
    Column("scan_id", ForeignKey("scans.id")),  # NULL: a test
    Column("decision", Integer),
    Column("type", String(32), nullable=False),
    Column("payload", Text, nullable=False),  # the very bytes of the body, the same at each attempt
    Column("status", String(16), nullable=False),  # pending, delivered, given_up
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", UtcDateTime),  # NULL once delivered or given up
    Column("tried_since", UtcDateTime),  # its first attempt, from which on it is tried for a day
    Column("token", String(32)),
    Column("lease_until", UtcDateTime),  # while it is being delivered
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
)
_undelivered = deliveries.c.due_at.is_not(None)
Index(
    "ix_deliveries_due",
    deliveries.c.service,
    deliveries.c.due_at,
    sqlite_where=_undelivered,
    postgresql_where=_undelivered,
)
_under_way = deliveries.c.lease_until.is_not(None)
Index(
    "ix_deliveries_under_way",
    deliveries.c.service,
    deliveries.c.lease_until,
    sqlite_where=_under_way,
    postgresql_where=_under_way,
)
Index("ix_deliveries_service_id", deliveries.c.service, desc(deliveries.c.id))  # a service's list
Index("ix_deliveries_scan_id", deliveries.c.scan_id, deliveries.c.decision, unique=True)  # one for each decision

# The delivery log: what became of each attempt.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("url", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("status_code", Integer),  # NULL: no answer
    Column("error", Text),  # NULL: delivered
)
Index("ix_delivery_attempts_delivery_id", delivery_attempts.c.delivery_id, delivery_attempts.c.id)

# One receiver of webhooks for each service: is it worth trying?
endpoints = Table(
    "endpoints",
    metadata,
    Column("service", ForeignKey("services.name"), primary_key=True),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("failing_since", UtcDateTime),  # the first failure of the row
    Column("closed_until", UtcDateTime),  # the breaker: nobody tries before
)

# What each worker's machine last found out about each scanner it uses: the API asks here, not clamd.
scanners = Table(
    "scanners",
    metadata,
    Column("name", Text, primary_key=True),  # host and address: a unix socket's path says little by itself
    Column("engine", Text),
    Column("database", Text),
    Column("database_time", UtcDateTime),
    Column("trusted", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
    Column("checked_at", UtcDateTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("scan_id", ForeignKey("scans.id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("source", String(16)),
    Column("target", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decision", Integer, nullable=False),
    Column("request_id", Text),
)
Index("ix_events_scan_id_id", events.c.scan_id, events.c.id)  # the story of a scan
