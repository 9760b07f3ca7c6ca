"""What recovery asks for is found without walking through the backlog, or through all rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

PENDING, IN_QUARANTINE = "finished_at IS NULL", "quarantine_key IS NOT NULL"
HELD = f"{IN_QUARANTINE} AND finished_at IS NOT NULL"


def upgrade() -> None:
    _drop("ix_scans_pending", "ix_scans_held")
    _create_partial_index("ix_scans_pending", ["status", "enqueued_at"], PENDING)
    _create_partial_index("ix_scans_held", ["status", "finished_at"], HELD)
    _create_partial_index("ix_scans_in_quarantine", ["id"], IN_QUARANTINE)


def downgrade() -> None:
    _drop("ix_scans_pending", "ix_scans_held", "ix_scans_in_quarantine")
    _create_partial_index("ix_scans_pending", ["status", "updated_at"], PENDING)
    _create_partial_index("ix_scans_held", ["finished_at"], HELD)


def _drop(*indexes: str) -> None:
    for name in indexes:
        op.drop_index(name, "scans")


def _create_partial_index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "scans", columns, sqlite_where=where, postgresql_where=where)
