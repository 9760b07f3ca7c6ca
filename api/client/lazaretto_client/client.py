"""`Lazaretto`: everything that a service asks of it. Each call is repeated where that is safe and can help."""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any, Self

from lazaretto_client import downloads
from lazaretto_client.downloads import Receiver, Target
from lazaretto_client.faults import WaitTimeout
from lazaretto_client.forms import Form, Raw
from lazaretto_client.operations import Operations
from lazaretto_client.records import Page, Scan, Transition
from lazaretto_client.sources import File, Progress, Source
from lazaretto_client.speech import given, new_key, read, segment
from lazaretto_client.transport import Transport

Metadata = Mapping[str, Any]

_WAIT = 50.0  # seconds of one request; the server takes up to 60, proxies often end what is silent for so long
_BETWEEN = 0.5  # seconds between two of them, at least: a server that is about to stop answers at once


class Lazaretto(Operations):
    """One installation, as one service sees it. Safe to use from several threads; close it, or use `with`.

    Every method raises `Problem` where the server refuses and `Unreachable` where it does not answer.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 60, retries: int = 4) -> None:
        """`url`: where the API is. `timeout`: seconds for each step of a request. `retries`: after the first try."""
        agent = f"lazaretto-client/{version('lazaretto-client')}"
        super().__init__(Transport(url, key, agent, max(timeout, _WAIT + 10), retries))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def upload(
        self,
        file: File,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        metadata: Metadata | None = None,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
    ) -> Scan:
        """Upload a path, bytes, or a binary stream; the scan as it was accepted. `wait` tells its outcome.

        `progress` is called with the bytes sent and the size (None where unknown), from the start for each try. With
        an `idempotency_key` of your own you may repeat the call itself: the same key and file are the same scan.
        """
        source = Source(file, progress)
        name = source.name if filename is None else filename
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        if metadata is None:  # the name stands in the path, whatever it holds
            body: Raw | Form = Raw(source, content_type)
            answer = self._transport.ask("PUT", f"/v1/uploads/{segment(name)}", headers=headers, body=body)
        else:
            body = Form({"metadata": json.dumps(metadata)}, source, name, content_type)
            answer = self._transport.ask("POST", "/v1/uploads", headers=headers, body=body)
        return read(answer, Scan.of)

    def upload_direct(
        self,
        file: File,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        metadata: Metadata | None = None,
        progress: Progress | None = None,
        idempotency_key: str | None = None,
    ) -> Scan:
        """The same, with the bytes going straight to the object store. The size must be known: no pipes.

        Raises `ValueError` for a stream without end.
        """
        source = Source(file, progress)
        if source.size is None:
            raise ValueError("a direct upload announces its size, expected a file, bytes, or a stream that can seek")
        name = source.name if filename is None else filename
        kind = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        wanted = given(filename=name, content_type=kind, size=source.size, metadata=metadata)
        url, fields, key = self._promise(wanted, idempotency_key or new_key())
        self._transport.post_to_store(url, Form(fields, source, name, None if "Content-Type" in fields else kind))
        return self.enqueue(key)

    def enqueue(
        self,
        key: str,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        metadata: Metadata | None = None,
        idempotency_key: str | None = None,
    ) -> Scan:
        """Have an object scanned that lies in the quarantine bucket, under `incoming/` and your service's name."""
        wanted = given(key=key, filename=filename, content_type=content_type, metadata=metadata)
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        return read(self._transport.ask("POST", "/v1/scans", headers=headers, content=wanted), Scan.of)

    def get(self, scan_id: str) -> Scan:
        """One scan, as it is now."""
        return self._scan(scan_id)

    def wait(self, scan_id: str, timeout: float | None = None) -> Scan:
        """The scan once it has ended. Raises `WaitTimeout` after `timeout` seconds; None waits for ever."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            begun = time.monotonic()
            left = _WAIT if deadline is None else max(0.0, min(_WAIT, deadline - begun))
            scan = self._scan(scan_id, wait=round(left, 3))
            if scan.ended:
                return scan
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeout(scan, timeout or 0)
            time.sleep(max(0.0, min(_BETWEEN - (time.monotonic() - begun), left)))

    def page(
        self,
        *,
        ids: Iterable[str] = (),
        status: str | Iterable[str] = (),
        service: str | None = None,
        sha256: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        reason: str | None = None,
        signature: str | None = None,
        type: str | None = None,  # noqa: A002 - the API's word
        name: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Some scans, newest first; `cursor` is the `next_cursor` of the page before. Times need a time zone.

        `reason`: a code; `type`: as detected; `name`: what the file's name begins with. A page may be short of its
        limit, also empty, and have a next one: `scans` goes through all of them.
        """
        statuses = [status] if isinstance(status, str) else list(status)
        times = {name: each.isoformat() for name, each in (("since", since), ("until", until)) if each}
        found = given(reason=reason, signature=signature, type=type, name=name)
        query = given(service=service, sha256=sha256, cursor=cursor, limit=limit, **times, **found)
        query |= {name: each for name, each in (("id", list(ids)), ("status", statuses)) if each}
        return read(self._transport.ask("GET", "/v1/scans", params=query), Page.of)

    def scans(self, **wanted: Any) -> Iterator[Scan]:
        """All scans, newest first, page after page. What they are narrowed to, as for `page`; `limit` is a page's."""
        page = self.page(**wanted)
        while True:
            yield from page.items
            if page.next_cursor is None:
                return
            page = self.page(**wanted | {"cursor": page.next_cursor})

    def events(self, scan_id: str) -> list[Transition]:
        """The story of a scan, oldest first."""
        answer = self._transport.ask("GET", f"/v1/scans/{segment(scan_id)}/events")
        return read(answer, lambda said: [Transition.of(each) for each in said["items"]])

    def stats(self, window: str = "24h", *, service: str | None = None) -> Mapping[str, Any]:
        """What ended within a window (from `1h` to `31d`) until now, and how things stand, as the API has it: your
        service's, or, with a key that may operate, everybody's."""
        answer = self._transport.ask("GET", "/v1/stats", params=given(window=window, service=service))
        return read(answer, dict)

    def content_url(self, scan_id: str) -> str:
        """An address of the promoted file that works for a minute or so, for whoever has it.

        Raises `Problem` 409 where nothing is promoted (retryable while undecided), 410 once the bytes are deleted.
        """
        answer = self._transport.ask("GET", f"/v1/scans/{segment(scan_id)}/content")
        return read(answer, lambda _said: answer.headers["Location"])

    def download(self, scan_id: str, target: Target) -> Scan:
        """Fetch the promoted file into a path, which appears when it is whole, or a binary stream.

        The bytes are those on record, or `Problem` `content_changed` is raised; what was written is worth nothing
        then. A stream that cannot seek is not begun anew after a fault. Raises as `content_url` does.
        """
        url, scan = self.content_url(scan_id), self.get(scan_id)
        with downloads.opened(target) as file:
            receiver = Receiver(file)

            def fetch() -> None:
                with self._transport.from_store(url) as chunks:
                    receiver.take(chunks, scan.promoted)

            self._transport.repeated(fetch) if receiver.rewindable else fetch()
        return scan

    def erase(self, scan_id: str) -> None:
        """Delete the bytes, wherever they are and at any status; the record stays. Safe to repeat."""
        self._transport.ask("DELETE", f"/v1/scans/{segment(scan_id)}")

    def _promise(self, wanted: Mapping[str, Any], idempotency_key: str) -> tuple[str, dict[str, str], str]:
        """Where to post which fields before the file, and the key that it will have."""
        headers = {"Idempotency-Key": idempotency_key}
        answer = self._transport.ask("POST", "/v1/uploads/presigned", headers=headers, content=wanted)
        return read(answer, lambda said: (said["url"], dict(said["fields"]), said["key"]))

    def _scan(self, scan_id: str, **query: Any) -> Scan:
        return read(self._transport.ask("GET", f"/v1/scans/{segment(scan_id)}", params=query), Scan.of)
