"""How long a small file takes while archives and rescans wait by the hundred, beside the same on an idle system."""

from __future__ import annotations

import hashlib
import io
import os
import random
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import cache
from typing import Any

import boto3
from sqlalchemy import insert, select

from ops.bench import latency
from ops.bench.corpus import File, words
from ops.bench.factory import Factory
from ops.bench.installation import Installation
from ops.bench.row import Better, Row
from ops.embedded import s3_server
from worker import clock
from worker.adapters.task_queue import TaskQueue
from worker.operations import Order
from worker.rescans import Rescans
from worker.scan import Mover, Promoted
from worker.settings import Settings
from worker.stats import Stats
from worker.store.rescans import Wanted
from worker.store.tables import scans

ARCHIVES, RESCANS = 200, 2000
FILES = 100  # timed, each way
_TARGET = 3.0
_PARTS = (0.5, 0.99)
_BATCH = 20  # archives in memory
_WARM_UP = 10
_MEMBERS, _PIECE = 8, 1300 * 1024
_TEXT = _MEMBERS * _PIECE  # 5 MB once deflated, in a hurry
_ORDER = Order("operator:bench", Mover.OPERATOR, "bench")


def rows(
    site: Installation, factory: Factory, *, archives: int = ARCHIVES, rescans: int = RESCANS, files: int = FILES
) -> Iterator[Row]:
    """Percentiles in milliseconds. Raises `RuntimeError` where nothing waited any more at the end."""
    latency.timed(site, factory.make("pdf", _WARM_UP))
    idle = latency.timed(site, factory.make("pdf", files))
    timed = factory.make("pdf", files)
    with _slow_worker_stands_still(site):
        for _ in range(0, archives, _BATCH):
            site.clients(4).put([_archive(each) for each in range(min(_BATCH, archives))])
        _ask_for_rescans(site, site.clients(1).put(factory.make("text", 1))[0], rescans)
    time.sleep(1)  # until it is at work
    busy = latency.timed(site, timed)
    left = {each.queue: each.number for each in Stats(site.database).now().queues}
    if not left["large"] or not left["rescans"]:
        raise RuntimeError(f"waiting at the end: {left}, expected some of both lanes")
    for part in _PARTS:
        value, floor = (latency.percentile(each, part) * 1000 for each in (busy, idle))
        name = f"lanes: 20 KB PDF behind {archives} zips of 5 MB and {rescans} rescans, p{part * 100:g}"
        yield Row(name, value, "ms", floor, Better.LOWER, _TARGET)


@cache
def _text() -> bytes:
    return words(random.Random(0), _TEXT)  # noqa: S311 - nothing is secret here


def _archive(number: int) -> File:
    """About 5 MB, of which no scanner has seen a member before; made quickly."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for member in range(_MEMBERS):
            packed.writestr(f"part-{member}.txt", os.urandom(16).hex() + _text()[member * _PIECE :][:_PIECE].decode())
    return File(f"large-{number}.zip", "application/zip", out.getvalue())


@contextmanager
def _slow_worker_stands_still(site: Installation) -> Iterator[None]:
    """While the lines are made."""
    pids = [each.process.pid for each in site.processes.members() if each.kind == "slow worker"]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _ask_for_rescans(site: Installation, template: str, number: int) -> None:
    """Of so many files that were promoted: all as one that is on record, but for their bytes."""
    site.wait_for([template])
    with site.database.read() as connection:
        row = dict(connection.execute(select(scans).where(scans.c.id == template)).mappings().one())
    with ThreadPoolExecutor(8) as pool:
        promoted = list(pool.map(_Promoter(site), range(number)))
    with site.database.write() as connection:
        connection.execute(insert(scans), [row | {"id": clock.new_id(), "promoted": each} for each in promoted])
    fields: dict[str, Any] = {name.removeprefix("LAZARETTO_").lower(): each for name, each in site.variables.items()}
    with closing(TaskQueue(Settings(_env_file=None, **fields))) as queue:
        Rescans(site.database, queue).ask_all(Wanted(), _ORDER, most=number + 2 * _WARM_UP + FILES)


class _Promoter:
    """Puts files into the clean bucket that no scanner has seen."""

    def __init__(self, site: Installation) -> None:
        self._bucket = site.variables["LAZARETTO_CLEAN_BUCKET"]
        key, secret = site.variables["AWS_ACCESS_KEY_ID"], site.variables["AWS_SECRET_ACCESS_KEY"]
        session = boto3.session.Session(key, secret, region_name=s3_server.REGION)
        self._s3 = session.client("s3", endpoint_url=site.variables["AWS_ENDPOINT_URL_S3"])

    def __call__(self, number: int) -> dict[str, Any]:
        """What its record says of it."""
        key, data = f"bench/{number}", os.urandom(1024).hex().encode()
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=data)
        return asdict(Promoted(self._bucket, key, len(data), hashlib.sha256(data).hexdigest(), "text/plain"))
