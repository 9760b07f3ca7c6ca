"""Statistics: how much of what ended when. Kept by the sweeper from events, which stay the truth."""

from __future__ import annotations

from sqlalchemy import Column, Index, String, Table

from worker.store.tables.schema import Json, UtcDateTime, metadata

# What ended in an hour (or in a day that is over): of each service for which there is anything, and of all together.
rollups = Table(
    "rollups",
    metadata,
    Column("service", String(64), primary_key=True),  # empty: all
    Column("step", String(8), primary_key=True),  # hour, day
    Column("at", UtcDateTime, primary_key=True),  # when it begins
    Column("counts", Json, nullable=False),  # as `worker.tally` writes it
)
Index("ix_rollups_step_at", rollups.c.step, rollups.c.at)  # one step of all services, replaced or forgotten

# How far it has come: everything that ended before is counted for good.
rolled_up = Table(
    "rolled_up",
    metadata,
    Column("step", String(8), primary_key=True),
    Column("until", UtcDateTime, nullable=False),
)
