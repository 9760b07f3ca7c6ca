"""What operators need: a queue for bulk work, rescans, scans found by what was found, statistics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

PENDING, SOURCED = sa.text("finished_at IS NULL"), sa.text("source_key IS NOT NULL")
LEASED = sa.text("lease_until IS NOT NULL")


def upgrade() -> None:
    op.add_column("scans", sa.Column("bulk", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("scans", sa.Column("source_bucket", sa.Text, nullable=False, server_default=""))
    _replace_indexes(["status", "bulk", "enqueued_at"], ["source_bucket", "source_key", "source_etag"])
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


def downgrade() -> None:
    for table in ("rescans", "findings", "sessions", "secrets"):
        op.drop_table(table)
    _replace_indexes(["status", "enqueued_at"], ["source_key", "source_etag"])
    for column in ("source_bucket", "bulk"):
        op.drop_column("scans", column)


def _replace_indexes(pending: list[str], source: list[str]) -> None:
    op.drop_index("ix_scans_pending", "scans")
    op.create_index("ix_scans_pending", "scans", pending, sqlite_where=PENDING, postgresql_where=PENDING)
    op.drop_index("ix_scans_source", "scans")
    op.create_index("ix_scans_source", "scans", source, unique=True, sqlite_where=SOURCED, postgresql_where=SOURCED)


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


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
