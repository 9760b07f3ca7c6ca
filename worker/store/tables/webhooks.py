"""What services are told, and what became of it."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text, desc

from worker.store.tables.schema import RowNumber, UtcDateTime, metadata

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
