"""What operators need: queues for large files and bulk work, rescans, scans found by what was found, statistics."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

PENDING, SOURCED = sa.text("finished_at IS NULL"), sa.text("source_key IS NOT NULL")
HELD = sa.text("quarantine_key IS NOT NULL AND finished_at IS NOT NULL")
EXAMINED = sa.text("detected_type IS NOT NULL")
ENDS = sa.text("target IN ('clean', 'erased', 'expired', 'failed', 'infected', 'rejected', 'released', 'unscannable')")

# What was found has a place of its own from now on, and events say how an outcome came about. Each database has words
# of its own for JSON and moments.
_FAILED = "id FROM scans WHERE status = 'failed' AND error IS NOT NULL ON CONFLICT DO NOTHING"
_FIND = "INSERT INTO findings (kind, value, scan_id) SELECT DISTINCT "
_TELL_CODES = """
    UPDATE events SET codes = (SELECT {joined} FROM findings
        WHERE findings.scan_id = events.scan_id AND kind = 'reason')
    WHERE target IN ('failed', 'infected', 'rejected', 'unscannable') AND EXISTS (SELECT 1 FROM scans
        WHERE scans.id = events.scan_id AND scans.decision = events.decision AND scans.status = events.target)"""
_TELL_SECONDS = """
    UPDATE events SET seconds = {span} FROM (SELECT scan_id, decision, min(at) AS begun FROM events
        WHERE target = 'queued' GROUP BY scan_id, decision) AS queued
    WHERE queued.scan_id = events.scan_id AND queued.decision = events.decision
        AND target IN ('clean', 'failed', 'infected', 'rejected', 'unscannable')"""
_ON_SQLITE = (
    _FIND + "'reason', json_extract(value, '$.code'), scans.id FROM scans, json_each(reasons)",
    _FIND + "'signature', substr(value, 1, 255), scans.id FROM scans, json_each(signatures)",
    _FIND + "'reason', json_extract(error, '$.code'), " + _FAILED,
    _TELL_CODES.format(joined="group_concat(value)"),
    _TELL_SECONDS.format(span="(julianday(at) - julianday(begun)) * 86400"),
)
_ON_POSTGRESQL = (
    _FIND + "'reason', value ->> 'code', scans.id FROM scans, jsonb_array_elements(reasons)",
    _FIND + "'signature', left(value, 255), scans.id FROM scans, jsonb_array_elements_text(signatures)",
    _FIND + "'reason', error ->> 'code', " + _FAILED,
    _TELL_CODES.format(joined="string_agg(value, ',' ORDER BY value)"),
    _TELL_SECONDS.format(span="extract(epoch FROM at - begun)"),
)
LEASED = sa.text("lease_until IS NOT NULL")


def upgrade() -> None:
    op.add_column("scans", sa.Column("lane", sa.String(8), nullable=False, server_default="scans"))
    op.add_column("scans", sa.Column("source_bucket", sa.Text, nullable=False, server_default=""))
    op.add_column("scans", sa.Column("steps", sa.JSON().with_variant(JSONB(), "postgresql")))
    pending = ["status", "lane", "enqueued_at", "service", "queued_at", "finished_at"]
    held = ["status", "finished_at", "service", "quarantine_key"]
    _add_what_is_searched()
    _replace_indexes(pending, ["source_bucket", "source_key", "source_etag"], held)
    _replace_lists()
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        _moment("created_at", nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("key_hash", sa.String(64), sa.ForeignKey("api_keys.hash"), nullable=False),
        _moment("created_at", nullable=False),
        _moment("expires_at", nullable=False),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    _create_findings()
    _create_rescans()
    _create_rollups()
    _tell_what_was_found()


def downgrade() -> None:
    for table in ("rolled_up", "rollups", "rescans", "findings", "sessions", "secrets"):
        op.drop_table(table)
    op.drop_index("ix_events_at", "events")
    for column in ("seconds", "codes"):
        op.drop_column("events", column)
    _put_lists_back()
    _replace_indexes(["status", "enqueued_at"], ["source_key", "source_etag"], ["status", "finished_at"])
    for column in ("queued_at", "name_start", "steps", "source_bucket", "lane"):
        op.drop_column("scans", column)


def _add_what_is_searched() -> None:
    start = sa.String(32, collation="C" if op.get_bind().dialect.name == "postgresql" else None)
    op.add_column("scans", sa.Column("name_start", start, nullable=False, server_default=""))
    op.add_column("scans", _moment("queued_at"))
    op.execute("UPDATE scans SET name_start = substr(filename, 1, 32)")
    op.execute("UPDATE scans SET queued_at = created_at WHERE finished_at IS NULL AND status <> 'receiving'")
    op.add_column("events", sa.Column("codes", sa.Text))
    op.add_column("events", sa.Column("seconds", sa.Float))
    op.create_index("ix_events_at", "events", ["at"], sqlite_where=ENDS, postgresql_where=ENDS)


def _replace_lists() -> None:
    op.drop_index("ix_scans_service_id", "scans")
    op.drop_index("ix_scans_sha256", "scans")
    newest = sa.text("id DESC")
    op.create_index("ix_scans_service_status_id", "scans", ["service", "status", newest])
    op.create_index("ix_scans_sha256_id", "scans", ["sha256", newest])
    op.create_index(
        "ix_scans_detected_type_status_id",
        "scans",
        ["detected_type", "status", newest],
        sqlite_where=EXAMINED,
        postgresql_where=EXAMINED,
    )
    op.create_index("ix_scans_name_start_id", "scans", ["name_start", "id"])


def _put_lists_back() -> None:
    for name in ("service_status_id", "sha256_id", "detected_type_status_id", "name_start_id"):
        op.drop_index(f"ix_scans_{name}", "scans")
    op.create_index("ix_scans_service_id", "scans", ["service", sa.text("id DESC")])
    op.create_index("ix_scans_sha256", "scans", ["sha256"])


def _replace_indexes(pending: list[str], source: list[str], held: list[str]) -> None:
    op.drop_index("ix_scans_pending", "scans")
    op.create_index("ix_scans_pending", "scans", pending, sqlite_where=PENDING, postgresql_where=PENDING)
    op.drop_index("ix_scans_source", "scans")
    op.create_index("ix_scans_source", "scans", source, unique=True, sqlite_where=SOURCED, postgresql_where=SOURCED)
    op.drop_index("ix_scans_held", "scans")
    op.create_index("ix_scans_held", "scans", held, sqlite_where=HELD, postgresql_where=HELD)


def _create_findings() -> None:
    op.create_table(
        "findings",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.id"), primary_key=True),
    )
    op.create_index("ix_findings_scan_id", "findings", ["scan_id"])


def _create_rescans() -> None:
    op.create_table(
        "rescans",
        sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.id"), primary_key=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("setbacks", sa.Integer, nullable=False, server_default="0"),
        sa.Column("token", sa.String(32)),
        _moment("lease_until"),
        _moment("due_at"),
        _moment("enqueued_at"),
        _moment("created_at", nullable=False),
    )
    op.create_index("ix_rescans_enqueued_at", "rescans", ["enqueued_at"])
    op.create_index("ix_rescans_lease_until", "rescans", ["lease_until"], sqlite_where=LEASED, postgresql_where=LEASED)
    op.create_index("ix_rescans_created_at", "rescans", ["created_at"])


def _create_rollups() -> None:
    op.create_table(
        "rollups",
        sa.Column("service", sa.String(64), primary_key=True),
        sa.Column("step", sa.String(8), primary_key=True),
        _moment("at", nullable=False, primary_key=True),
        sa.Column("counts", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
    )
    op.create_index("ix_rollups_step_at", "rollups", ["step", "at"])
    step: sa.Column[str] = sa.Column("step", sa.String(8), primary_key=True)
    rolled_up = op.create_table("rolled_up", step, _moment("until", nullable=False))
    never = datetime(1970, 1, 1, tzinfo=UTC)
    op.bulk_insert(rolled_up, [{"step": step, "until": never} for step in ("hour", "day")])


def _tell_what_was_found() -> None:
    """Of what ended before there was a place for it."""
    for statement in _ON_POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _ON_SQLITE:
        op.execute(sa.text(statement))


def _moment(name: str, *, nullable: bool = True, primary_key: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, primary_key=primary_key)
