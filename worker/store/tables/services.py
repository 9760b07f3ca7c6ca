"""Who may ask for what, what they asked for already, and what we sign with."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from worker.store.tables.schema import Json, UtcDateTime, metadata

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

# What this installation signs with itself, the same in every process: drawn once, at the first start.
secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Operators who are logged in to the dashboard.
sessions = Table(
    "sessions",
    metadata,
    Column("hash", String(64), primary_key=True),  # SHA-256 of the session's id, in hex
    Column("key_hash", ForeignKey("api_keys.hash"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
Index("ix_sessions_expires_at", sessions.c.expires_at)  # what is over
