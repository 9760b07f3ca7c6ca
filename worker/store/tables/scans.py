"""Scans, their story, and what has been found out about the scanners."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    desc,
    false,
    literal_column,
)

from worker.lanes import Lane
from worker.scan import Status
from worker.store.tables.schema import Json, Prefix, RowNumber, UtcDateTime, metadata

scans = Table(
    "scans",
    metadata,
    Column("id", String(36), primary_key=True),  # UUIDv7: the order of ids is the order of arrival
    Column("service", ForeignKey("services.name"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("name_start", Prefix, nullable=False, server_default=""),  # of `filename`: what an index can hold
    Column("size", BigInteger),
    Column("sha256", String(64)),
    Column("etag", String(128)),
    Column("quarantine_key", Text),  # NULL once the bytes are gone from there
    Column("lane", String(8), nullable=False, server_default=Lane.SCANS.value),  # the queue that it waits in
    Column("source_bucket", Text, nullable=False, server_default=""),  # of a backfill, which leaves it alone
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
    Column("steps", Json),  # what each of the last attempt took, in milliseconds, by name
    Column("setbacks", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False),
    Column("decision", Integer, nullable=False),
    Column("error", Json),
    Column("metadata", Json, nullable=False),
    Column("request_id", Text),
    Column("token", String(32)),
    Column("lease_until", UtcDateTime),
    Column("due_at", UtcDateTime),
    Column("queued_at", UtcDateTime),  # since when this decision waits; NULL: it never did
    Column("enqueued_at", UtcDateTime),
    Column("tidy_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
)
# Lists, newest first: each is a range of one of these, or a few of them merged (`listing`).
Index("ix_scans_service_status_id", scans.c.service, scans.c.status, desc(scans.c.id))  # of a service, in any state
Index("ix_scans_status_id", scans.c.status, desc(scans.c.id))  # in a state, of every service
Index("ix_scans_sha256_id", scans.c.sha256, desc(scans.c.id))  # what became of these bytes?
_examined = scans.c.detected_type.is_not(None)
Index(  # of a type, in any state
    "ix_scans_detected_type_status_id",
    scans.c.detected_type,
    scans.c.status,
    desc(scans.c.id),
    sqlite_where=_examined,
    postgresql_where=_examined,
)
Index("ix_scans_name_start_id", scans.c.name_start, scans.c.id)  # whose file's name begins so
Index("ix_scans_clean_prefix_id", scans.c.clean_prefix, scans.c.id)  # reconcile walks along the clean bucket
# The sweeper: which scans does no task stand for? Few, whatever the number of rows, and of scans that wait.
# Statistics: how many are in which state and queue, since when? From this index alone.
_pending = scans.c.finished_at.is_(None)
Index(
    "ix_scans_pending",
    scans.c.status,
    scans.c.lane,
    scans.c.enqueued_at,
    scans.c.service,
    scans.c.queued_at,
    scans.c.finished_at,  # NULL, but SQLite would look it up
    sqlite_where=_pending,
    postgresql_where=_pending,
)

_untidy = and_(scans.c.tidy_at.is_not(None), scans.c.finished_at.is_not(None))
Index("ix_scans_untidy", scans.c.tidy_at, sqlite_where=_untidy, postgresql_where=_untidy)
_held = and_(scans.c.quarantine_key.is_not(None), scans.c.finished_at.is_not(None))
Index(  # the sweeper: held for too long? Statistics: how many are held?
    "ix_scans_held",
    scans.c.status,
    scans.c.finished_at,
    scans.c.service,
    scans.c.quarantine_key,  # which SQLite would look up
    sqlite_where=_held,
    postgresql_where=_held,
)
_in_quarantine = scans.c.quarantine_key.is_not(None)
Index("ix_scans_in_quarantine", scans.c.id, sqlite_where=_in_quarantine, postgresql_where=_in_quarantine)

# The same object enqueued twice is one scan; a promised key has no ETag yet and is no other scan's.
_sourced = scans.c.source_key.is_not(None)
Index(
    "ix_scans_source",
    scans.c.source_bucket,
    scans.c.source_key,
    scans.c.source_etag,
    unique=True,
    sqlite_where=_sourced,
    postgresql_where=_sourced,
)

# What keeps scans from being clean, so that they are found by it: a row for each code and each signature of a scan.
findings = Table(
    "findings",
    metadata,
    Column("kind", String(16), primary_key=True),  # reason (of a verdict, or the code of the error), signature
    Column("value", Text, primary_key=True),
    Column("scan_id", ForeignKey("scans.id"), primary_key=True),
)
Index("ix_findings_scan_id", findings.c.scan_id)  # what stood is replaced

# A look at promoted bytes with newer signatures: at most one for each scan, gone when it is over.
rescans = Table(
    "rescans",
    metadata,
    Column("scan_id", ForeignKey("scans.id"), primary_key=True),
    Column("actor", Text, nullable=False),  # who asked
    Column("request_id", Text),
    Column("reason", Text),  # in their own words
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("setbacks", Integer, nullable=False, server_default="0"),
    Column("token", String(32)),
    Column("lease_until", UtcDateTime),  # NULL: it waits
    Column("due_at", UtcDateTime),
    Column("enqueued_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
)
Index("ix_rescans_enqueued_at", rescans.c.enqueued_at)  # the sweeper: which does no task stand for?
Index("ix_rescans_created_at", rescans.c.created_at)  # statistics: how many, since when?
_leased = rescans.c.lease_until.is_not(None)
Index("ix_rescans_lease_until", rescans.c.lease_until, sqlite_where=_leased, postgresql_where=_leased)

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
    Column("codes", Text),  # what kept the scan from being clean, in alphabetical order, with commas; of outcomes only
    Column("seconds", Float),  # from the queue to here; of outcomes only
)
Index("ix_events_scan_id_id", events.c.scan_id, events.c.id)  # the story of a scan
# Roll-ups: which decisions ended in this hour? The states are spelled out, or no planner takes the index for it.
ends = events.c.target.in_([literal_column(f"'{status.value}'") for status in sorted(Status) if status.ended])
Index("ix_events_at", events.c.at, sqlite_where=ends, postgresql_where=ends)

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
