"""Files that did not pass through us: which of them are on record, by where they lay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from worker.scan import Cause, Scan
from worker.store import scans
from worker.store.tables import scans as table


def known(connection: Connection, bucket: str, keys: Iterable[str]) -> set[tuple[str, str]]:
    """Key and ETag of those objects of a bucket under some keys that are on record."""
    same = (table.c.source_bucket == bucket, table.c.source_key.in_(list(keys)))
    return {
        (row.source_key, row.source_etag)
        for row in connection.execute(select(table.c.source_key, table.c.source_etag).where(*same))
    }


def add_all(connection: Connection, new: Sequence[Scan], cause: Cause) -> None:
    """Put new scans on record. Raises `IntegrityError` where one of their objects is by now: then none is added."""
    for scan in new:
        scans.add(connection, scan, cause)
