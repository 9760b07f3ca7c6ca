"""Services, keys, scans, their events, scanners."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "services",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_services"),
    )
    op.create_table(
        "api_keys",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("hash", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["service"], ["services.name"], name="fk_api_keys_service"),
    )
    _create_scans()
    op.create_table(
        "events",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("scan_id", sa.String(36), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("source", sa.String(16)),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decision", sa.Integer, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.ForeignKeyConstraint(["scan_id"], ["scans.id"], name="fk_events_scan_id"),
    )
    op.create_table(
        "scanners",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("engine", sa.Text),
        sa.Column("database", sa.Text),
        sa.Column("database_time", MOMENT),
        sa.Column("trusted", sa.Boolean, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("checked_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_scanners"),
    )
    op.create_index("ix_events_scan_id_id", "events", ["scan_id", "id"])


def _create_scans() -> None:
    op.create_table(
        "scans",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", sa.String(64)),
        sa.Column("etag", sa.String(128)),
        sa.Column("quarantine_key", sa.Text),
        sa.Column("declared_type", sa.Text),
        sa.Column("detected_type", sa.Text),
        sa.Column("verdict", sa.String(16)),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("signatures", JSON, nullable=False),
        sa.Column("scanner", JSON),
        sa.Column("promoted", JSON),
        sa.Column("policy", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("decision", sa.Integer, nullable=False),
        sa.Column("error", JSON),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("token", sa.String(32)),
        sa.Column("lease_until", MOMENT),
        sa.Column("due_at", MOMENT),
        sa.Column("enqueued_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_scans"),
        sa.ForeignKeyConstraint(["service"], ["services.name"], name="fk_scans_service"),
    )
    op.create_index("ix_scans_service_id", "scans", ["service", sa.text("id DESC")])
    op.create_index("ix_scans_status_id", "scans", ["status", sa.text("id DESC")])
    op.create_index("ix_scans_sha256", "scans", ["sha256"])
    unfinished = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_scans_pending",
        "scans",
        ["status", "updated_at"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    leftover = sa.text("status IN ('expired', 'rejected') AND quarantine_key IS NOT NULL")
    op.create_index("ix_scans_leftover", "scans", ["updated_at"], sqlite_where=leftover, postgresql_where=leftover)


def downgrade() -> None:
    for table in ("scanners", "events", "scans", "api_keys", "services"):
        op.drop_table(table)
