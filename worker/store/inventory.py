"""All scans, a page at a time, in the order of their ids: for whoever compares them with something else."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, select

from worker.keys import default_prefix
from worker.scan import Scan
from worker.store.database import Database
from worker.store.rows import scan_from
from worker.store.tables import scans, services


def in_quarantine() -> ColumnElement[bool]:
    """Scans that say their bytes are in quarantine."""
    return scans.c.quarantine_key.is_not(None)


def under(prefix: str) -> ColumnElement[bool]:
    """Scans whose clean keys begin with this, before their id."""
    return scans.c.clean_prefix == prefix


def walk(database: Database, condition: ColumnElement[bool], page_size: int) -> Iterator[Scan]:
    """Every scan that meets the condition, by ascending id; no transaction is open in between.

    Ids have one length and hold nothing but lower-case hex digits with dashes in the same places, so that every
    collation sorts them like their bytes, which is how stores sort their keys.
    """
    last = ""
    while True:
        page = select(scans).where(condition, scans.c.id > last).order_by(scans.c.id).limit(page_size)
        with database.read() as connection:
            found = [scan_from(row) for row in connection.execute(page).mappings()]
        yield from found
        if len(found) < page_size:
            return
        last = found[-1].id


def clean_prefixes(database: Database) -> list[str]:
    """What clean keys may begin with, before the id: of every service, and under every policy there was."""
    with database.read() as connection:
        names = connection.execute(select(services.c.name)).scalars()
        recorded = connection.execute(select(scans.c.clean_prefix).distinct()).scalars()
        return sorted({default_prefix(name) for name in names} | {prefix for prefix in recorded if prefix})
