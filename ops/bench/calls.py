"""What a call to the object store costs the process that makes it: ours, boto3's plainest, and bare HTTP below both."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from ops.bench.row import Better, Row
from ops.embedded import s3_server
from ops.embedded.ports import choose
from ops.embedded.s3_server import Seaweed
from ops.embedded.supervisor import Supervisor
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Exactly, Label, Place

_ROUNDS = 200  # of each, in turn with its floors, so that all meet the same machine
_WARM_UP = 20
_TARGET = 1.0  # times plain boto3
_SIZES = {"2 KB": 2_048, "20 KB": 20_480, "200 KB": 204_800}
_BUCKET, _KEY = "bench", "sealed/019a0000-0000-7000-8000-000000000000"
_Call = Callable[[], object]


def rows() -> Iterator[Row]:
    """Medians in microseconds of processor time, over what plain boto3 takes for the same bytes."""
    with _store():
        objects, plain = ObjectStore(connect_timeout=2, timeout=10), boto3.client("s3")
        for size, length in _SIZES.items():
            data = os.urandom(length)
            etag = objects.put(_BUCKET, _KEY, data)
            for name, calls in _calls(objects, plain, data, etag).items():
                ours, theirs, bare = _medians(calls)
                yield Row(f"{name} of {size} (bare HTTP: {bare:.0f} µs)", ours, "µs", theirs, Better.LOWER, _TARGET)


def _calls(objects: ObjectStore, plain: Any, data: bytes, etag: str) -> dict[str, tuple[_Call, _Call, _Call]]:
    """The same call in three ways."""
    here = {"Bucket": _BUCKET, "Key": _KEY}
    content, label = Exactly(len(data), hashlib.sha256(data).hexdigest()), Label("text/plain", {"sha256": "0" * 64})
    place = Place(_BUCKET, _KEY)
    return {
        "put": (
            lambda: objects.put(_BUCKET, _KEY, data),
            lambda: plain.put_object(**here, Body=data),
            _Bare(plain, "PUT", "put_object", data).call,
        ),
        "put_file": (
            lambda: objects.put_file(place, io.BytesIO(data), content, label, _nothing),
            lambda: plain.put_object(**here, Body=data, **label.arguments()),
            _Bare(plain, "PUT", "put_object", data).call,
        ),
        "fetch": (
            lambda: b"".join(objects.fetch(_BUCKET, _KEY, etag)),
            lambda: plain.get_object(**here)["Body"].read(),
            _Bare(plain, "GET", "get_object").call,
        ),
        "head": (
            lambda: objects.head(_BUCKET, _KEY),
            lambda: plain.head_object(**here),
            _Bare(plain, "HEAD", "head_object").call,
        ),
        "delete": (
            lambda: objects.delete(_BUCKET, "nothing"),
            lambda: plain.delete_object(Bucket=_BUCKET, Key="nothing"),
            _Bare(plain, "DELETE", "delete_object", key="nothing").call,
        ),
    }


class _Bare:
    """A request that was signed beforehand, on a connection that stays."""

    def __init__(self, plain: Any, method: str, operation: str, body: bytes | None = None, key: str = _KEY) -> None:
        url = urlsplit(plain.generate_presigned_url(operation, Params={"Bucket": _BUCKET, "Key": key}, ExpiresIn=3600))
        self._method, self._body, self._target = method, body, f"{url.path}?{url.query}"
        self._connection = http.client.HTTPConnection(url.hostname or "", url.port)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self) -> bytes:
        self._connection.request(self._method, self._target, self._body)
        answer = self._connection.getresponse()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{self._method} was answered with {answer.status}")
        return answer.read()


def _medians(calls: tuple[_Call, ...]) -> list[float]:
    costs = [[_cost(call) for call in calls] for _ in range(_WARM_UP + _ROUNDS)][_WARM_UP:]
    return [statistics.median(each) * 1e6 for each in zip(*costs, strict=True)]


def _cost(call: _Call) -> float:
    """Seconds of this process's time, whatever the store and others do meanwhile."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def _nothing() -> None:
    """No lease to look after."""


@contextmanager
def _store() -> Iterator[None]:
    """An object store, to which the environment leads boto3."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lazaretto-bench-", dir="/var/tmp")))
        supervisor = stack.enter_context(Supervisor(folder / "logs", print))
        store = Seaweed(folder / "s3", folder, choose(s3_server.PORTS), "access", "secret", (_BUCKET,), 64)
        supervisor.start(store)
        os.environ |= store.settings()
        yield


if __name__ == "__main__":
    for row in rows():
        print(f"{row.name}: {row.value:.0f} {row.unit}, boto3 {row.floor:.0f}, ratio {row.ratio:.2f}")
