"""Clients of the API that cost as little as they can: they share the cores with what they measure."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from ops.bench.corpus import File

_TIMEOUT = 120  # seconds
_BLOCK = 1024 * 1024  # bytes of a file that are sent at once
_IDLE = 2.0  # seconds after which a connection is not trusted any more: the server closes it after five
_WAIT = 60  # seconds that the API may hold an answer back


class Client:
    """One connection, which is kept while it is used, and made anew after `close`."""

    def __init__(self, url: str, key: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, _TIMEOUT, blocksize=_BLOCK)
        self._key = {"Authorization": f"Bearer {key}"}
        self._used = time.monotonic()

    def close(self) -> None:
        self._connection.close()

    def put(self, file: File) -> str:
        """Upload a file as the body itself; the scan's id. Raises `RuntimeError` where it is not accepted."""
        headers = self._key | {"Content-Type": file.content_type}
        return str(self._asked("PUT", f"/v1/uploads/{quote(file.name)}", file.data, headers)["id"])

    def put_large(self, path: Path) -> str:
        """The same of what is too large to be held."""
        with path.open("rb") as body:
            headers = self._key | {"Content-Length": str(path.stat().st_size)}
            return str(self._asked("PUT", f"/v1/uploads/{quote(path.name)}", body, headers)["id"])

    def outcome(self, file: File) -> str:
        """Upload a file as a form, and wait for its outcome."""
        boundary = secrets.token_hex(16)
        part = (
            f'Content-Disposition: form-data; name="file"; filename="{file.name}"\r\nContent-Type: {file.content_type}'
        )
        body = b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (boundary.encode(), part.encode(), file.data, boundary.encode())
        headers = self._key | {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        scan = self._asked("POST", "/v1/uploads", body, headers)["id"]
        return str(self._asked("GET", f"/v1/scans/{scan}?wait={_WAIT}", None, self._key)["status"])

    def _asked(
        self, method: str, target: str, body: bytes | BinaryIO | None, headers: dict[str, str]
    ) -> dict[str, object]:
        if time.monotonic() - self._used > _IDLE:
            self._connection.close()
        self._connection.request(method, target, body, headers)
        answer = self._connection.getresponse()
        text, self._used = answer.read(), time.monotonic()
        if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            raise RuntimeError(f"{method} {target}: {answer.status} {text.decode(errors='replace')[:500]}")
        return dict(json.loads(text))


class Clients:
    """Several at once, each with its next file as soon as its last one is accepted."""

    def __init__(self, url: str, key: str, number: int) -> None:
        self._url, self._key, self._number = url, key, number

    def put(self, files: Iterable[File]) -> list[str]:
        """Upload all files; the ids of their scans. Raises what `Client.put` raises."""
        shared = _Shared(files)
        with ThreadPoolExecutor(self._number) as pool:
            parts = [pool.submit(self._put, shared) for _ in range(self._number)]
            return [each for part in parts for each in part.result()]

    def put_large(self, path: Path) -> str:
        """One of them uploads what is too large to be held."""
        with closing(Client(self._url, self._key)) as client:
            return client.put_large(path)

    def _put(self, files: Iterable[File]) -> list[str]:
        with closing(Client(self._url, self._key)) as client:
            return [client.put(file) for file in files]


class _Shared:
    """An iterator from which several threads take."""

    def __init__(self, files: Iterable[File]) -> None:
        self._files, self._lock = iter(files), Lock()

    def __iter__(self) -> Iterator[File]:
        return self

    def __next__(self) -> File:
        with self._lock:
            return next(self._files)
