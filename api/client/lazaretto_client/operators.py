"""`Operator`: what those who run an installation ask of it besides; for keys with the scope `operate`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lazaretto_client.client import Lazaretto, given, read, segment
from lazaretto_client.records import Scan, Stretch


class Operator(Lazaretto):
    """One installation, as its operators see it: every service's scans. Raises as `Lazaretto` does."""

    def rescan(self, scan_id: str) -> Scan:
        """Have a promoted file looked at once more; the scan, which changes only where malware is found.

        Safe to repeat. Raises `Problem` 409 where nothing is promoted.
        """
        return read(self._transport.ask("POST", f"/v1/scans/{segment(scan_id)}/rescan"), Scan.of)

    def rescan_all(
        self,
        *,
        service: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        signatures_older_than: datetime | None = None,
        cursor: str | None = None,
        dry_run: bool = False,
    ) -> Iterator[Stretch]:
        """Have promoted files looked at once more: a stretch of all scans with each step, so that it can be watched,
        and gone on with later from `next_cursor`. Safe to repeat. `dry_run`: only count them. Times need a time zone.
        """
        times = {"since": since, "until": until, "signatures_older_than": signatures_older_than}
        wanted: dict[str, Any] = given(service=service, cursor=cursor) | {"dry_run": dry_run}
        wanted |= {name: each.isoformat() for name, each in times.items() if each}
        while True:
            stretch = read(self._transport.ask("POST", "/v1/scans/rescan", content=wanted), Stretch.of)
            yield stretch
            if stretch.next_cursor is None:
                return
            wanted["cursor"] = stretch.next_cursor
