"""Setbacks in a row, and when to look at the buckets again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LEFTOVER = "status IN ('expired', 'rejected') AND quarantine_key IS NOT NULL"


def upgrade() -> None:
    op.add_column("scans", sa.Column("setbacks", sa.Integer, nullable=False, server_default="0"))
    op.add_column("scans", sa.Column("tidy_at", sa.DateTime(timezone=True)))
    op.execute(f"UPDATE scans SET tidy_at = updated_at WHERE {LEFTOVER}")  # noqa: S608 - no outside text
    op.execute("UPDATE scans SET lease_until = updated_at WHERE status = 'receiving'")
    op.drop_index("ix_scans_leftover", "scans")
    _create_partial_index("ix_scans_untidy", "tidy_at", "tidy_at IS NOT NULL AND finished_at IS NOT NULL")
    _create_partial_index("ix_scans_held", "finished_at", "quarantine_key IS NOT NULL AND finished_at IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_scans_held", "scans")
    op.drop_index("ix_scans_untidy", "scans")
    op.drop_column("scans", "tidy_at")
    op.drop_column("scans", "setbacks")
    _create_partial_index("ix_scans_leftover", "updated_at", LEFTOVER)


def _create_partial_index(name: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "scans", [column], sqlite_where=where, postgresql_where=where)
