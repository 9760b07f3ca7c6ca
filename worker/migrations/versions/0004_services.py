"""What services need: keys that are looked after, direct uploads, idempotency, webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SOURCED, UNDELIVERED = sa.text("source_key IS NOT NULL"), sa.text("due_at IS NOT NULL")
UNDER_WAY = sa.text("lease_until IS NOT NULL")


def upgrade() -> None:
    _add_columns()
    _create_idempotency_keys()
    _create_webhook_secrets()
    _create_deliveries()
    _create_delivery_attempts()
    op.create_table(
        "endpoints",
        sa.Column("service", sa.String(64), sa.ForeignKey("services.name"), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        _moment("failing_since"),
        _moment("closed_until"),
    )


def downgrade() -> None:
    for table in ("endpoints", "delivery_attempts", "deliveries", "webhook_secrets", "idempotency_keys"):
        op.drop_table(table)
    op.drop_index("ix_scans_source", "scans")
    op.drop_index("ix_scans_clean_prefix_id", "scans")
    op.drop_index("ix_api_keys_prefix", "api_keys")
    for column in ("held", "clean_prefix", "promised_size", "source_etag", "source_key"):
        op.drop_column("scans", column)
    op.drop_column("api_keys", "lifetime")
    op.drop_column("api_keys", "last_used_at")


def _add_columns() -> None:
    op.add_column("api_keys", _moment("last_used_at"))
    op.add_column("api_keys", sa.Column("lifetime", sa.BigInteger))
    op.create_index("ix_api_keys_prefix", "api_keys", ["prefix"])
    op.add_column("scans", sa.Column("source_key", sa.Text))
    op.add_column("scans", sa.Column("source_etag", sa.String(128)))
    op.add_column("scans", sa.Column("promised_size", sa.BigInteger))
    op.add_column("scans", sa.Column("clean_prefix", sa.Text))
    op.execute("UPDATE scans SET clean_prefix = service || '/'")
    op.create_index("ix_scans_clean_prefix_id", "scans", ["clean_prefix", "id"])
    op.add_column("scans", sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE scans SET held = true WHERE 'unscannable' IN (status, verdict)")
    source = ["source_key", "source_etag"]
    op.create_index("ix_scans_source", "scans", source, unique=True, sqlite_where=SOURCED, postgresql_where=SOURCED)


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("service", sa.String(64), sa.ForeignKey("services.name"), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("token", sa.String(32), nullable=False),
        _moment("lease_until"),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.id")),
        _moment("created_at", nullable=False),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_webhook_secrets() -> None:
    op.create_table(
        "webhook_secrets",
        _row_number(),
        sa.Column("service", sa.String(64), sa.ForeignKey("services.name"), nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        _moment("created_at", nullable=False),
        _moment("expires_at"),
    )
    op.create_index("ix_webhook_secrets_service", "webhook_secrets", ["service"])


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("service", sa.String(64), sa.ForeignKey("services.name"), nullable=False),
        sa.Column("scan_id", sa.String(36), sa.ForeignKey("scans.id")),
        sa.Column("decision", sa.Integer),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        _moment("due_at"),
        _moment("tried_since"),
        sa.Column("token", sa.String(32)),
        _moment("lease_until"),
        _moment("created_at", nullable=False),
        _moment("finished_at"),
    )
    due = ["service", "due_at"]
    op.create_index("ix_deliveries_due", "deliveries", due, sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED)
    name, mine = "ix_deliveries_under_way", ["service", "lease_until"]
    op.create_index(name, "deliveries", mine, sqlite_where=UNDER_WAY, postgresql_where=UNDER_WAY)
    op.create_index("ix_deliveries_service_id", "deliveries", ["service", sa.text("id DESC")])
    op.create_index("ix_deliveries_scan_id", "deliveries", ["scan_id", "decision"], unique=True)


def _create_delivery_attempts() -> None:
    op.create_table(
        "delivery_attempts",
        _row_number(),
        sa.Column("delivery_id", sa.String(40), sa.ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
        _moment("at", nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("error", sa.Text),
    )
    op.create_index("ix_delivery_attempts_delivery_id", "delivery_attempts", ["delivery_id", "id"])


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _row_number() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("id", kind, primary_key=True, autoincrement=True)
