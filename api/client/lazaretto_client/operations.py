"""What an operator asks of an installation: calls that need a key with the scope `operate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from lazaretto_client.records import Retried, Scan, Stretch
from lazaretto_client.speech import given, new_key, read, segment
from lazaretto_client.transport import Transport


class Operations:
    """The part of `Lazaretto` that is for operators. Each call raises as all of it do."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def retry(self, scan_id: str, *, idempotency_key: str | None = None) -> Scan:
        """Have a file examined once more that is `failed` or `unscannable`. Raises `Problem` 409 for any other."""
        return self._ordered(scan_id, "retry", idempotency_key)

    def release(self, scan_id: str, reason: str, *, idempotency_key: str | None = None) -> Scan:
        """Have a file promoted that is `unscannable`, as it was uploaded. `reason`: on record for good, on one line.

        Raises `Problem` 409 for any other, and where its bytes are gone.
        """
        return self._ordered(scan_id, "release", idempotency_key, reason=reason)

    def retry_all(
        self,
        *,
        ids: Iterable[str] = (),
        status: str | Iterable[str] = (),
        service: str | None = None,
        reason: str | None = None,
        sha256: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        ended_before: datetime | None = None,
        limit: int = 10_000,
        dry_run: bool = False,
    ) -> Retried:
        """Put held files back in line, behind everything that comes in meanwhile; without `status` those that are
        `failed`. While some remain, call again with the answer's `ended_before`. Safe to repeat."""
        moments = {"since": since, "until": until, "ended_before": ended_before}
        times = {name: each.isoformat() for name, each in moments.items() if each}
        wanted = given(service=service, reason=reason, sha256=sha256, limit=limit, dry_run=dry_run, **times)
        statuses = [status] if isinstance(status, str) else list(status)
        wanted |= {name: each for name, each in (("ids", list(ids)), ("status", statuses)) if each}
        return read(self._transport.ask("POST", "/v1/scans/retry", content=wanted), Retried.of)

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

    def _ordered(self, scan_id: str, what: str, idempotency_key: str | None, **said: Any) -> Scan:
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        path = f"/v1/scans/{segment(scan_id)}/{what}"
        return read(self._transport.ask("POST", path, headers=headers, content=said), Scan.of)
