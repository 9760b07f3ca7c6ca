"""What should not lie there any more: only a sweeper that is away leaves it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select

from worker.scan import Status
from worker.store.tables import deliveries, rescans, scans

_LEASED = [Status.RECEIVING.value, Status.SCANNING.value, Status.SETTLING.value]


def since(connection: Connection, moment: datetime) -> dict[str, int]:
    """How many of what kind have been left lying since before a moment; nothing where all is well.

    A look for operators, not for requests: it counts the backlog.
    """
    pending = scans.c.finished_at.is_(None)
    looks = {
        "scans whose lease is over": (scans, pending & scans.c.status.in_(_LEASED) & (scans.c.lease_until < moment)),
        "ended scans with bytes to delete": (scans, scans.c.finished_at.is_not(None) & (scans.c.tidy_at < moment)),
        "rescans whose lease is over": (rescans, rescans.c.lease_until < moment),
        "webhooks whose lease is over": (deliveries, deliveries.c.lease_until < moment),
    }
    counts = {
        what: connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
        for what, (table, condition) in looks.items()
    }
    return {what: number for what, number in counts.items() if number}
