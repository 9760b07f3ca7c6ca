"""One field for whatever somebody has at hand: an id, a SHA-256, a signature, the start of a file's name."""

from __future__ import annotations

import re
from typing import NamedTuple

from sqlalchemy import Connection

from api.dashboard.narrowing import Narrowing
from api.scans import SHA256, UUID
from worker.scan import Scan
from worker.store import listing

PAGE = 50  # scans


class Reading(NamedTuple):
    """One way to understand what was typed."""

    what: str  # that was looked for, in words
    narrowing: Narrowing


class Found(NamedTuple):
    """Scans, newest first."""

    scans: list[Scan]
    reading: Reading | None  # None: nothing was typed
    instead_of: Reading | None  # what would have come first, had there been any such scan
    cursor: str | None  # of what comes next, also where nothing has been found so far; None: nothing does

    def narrowing(self, asked: Narrowing) -> Narrowing:
        """The filter as it was understood."""
        return self.reading.narrowing if self.reading else asked


def readings(asked: Narrowing) -> list[Reading]:
    """By its shape; what may be the name of a signature may also be that of a file."""
    text = asked.q or ""
    if re.fullmatch(UUID, text.lower()):
        return [_reading("id", asked, id=(text.lower(),))]
    if re.fullmatch(SHA256, text.lower()):
        return [_reading("SHA-256", asked, sha256=text.lower())]
    by_name = _reading("file names that begin with", asked, name=text)
    return [by_name] if re.search(r"\s", text) else [_reading("signature", asked, signature=text), by_name]


def find(connection: Connection, asked: Narrowing) -> Found:
    """A page of the list; the first reading of the search that leads to any scan."""
    if asked.q is None:
        return _page(connection, asked, None)
    first, *others = readings(asked)
    found = _page(connection, first.narrowing, first)
    for reading in others:
        if not found.scans and found.cursor is None:
            found = _page(connection, reading.narrowing, reading)._replace(instead_of=first)
    return found


def _reading(what: str, asked: Narrowing, **understood: object) -> Reading:
    return Reading(what, asked.model_copy(update={"q": None, **understood}))


def _page(connection: Connection, narrowing: Narrowing, reading: Reading | None) -> Found:
    found = listing.page(connection, narrowing.filter, before=narrowing.cursor, limit=PAGE)
    return Found(found.items, reading, None, found.next_cursor)
