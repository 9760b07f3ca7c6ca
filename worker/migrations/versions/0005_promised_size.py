"""What a form was given out for: whoever sends more than was promised has not paid for it yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("scans", sa.Column("promised_size", sa.BigInteger))


def downgrade() -> None:
    op.drop_column("scans", "promised_size")
