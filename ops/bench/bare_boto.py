"""One large file with boto3's own transfers, in a process that does nothing else."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ops.bench.factory import leave_interrupts_to_the_parent

_KEY = "floor/large"
Upload = Callable[[Path], float]


@contextmanager
def uploads(variables: Mapping[str, str], bucket: str, part_size: int) -> Iterator[Upload]:
    """What uploads a file with `upload_fileobj` and tells the seconds; connected beforehand, as an API is."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(dict(variables),)) as pool:
        yield lambda path: pool.submit(_uploaded, path, bucket, part_size).result()


def _begin(variables: dict[str, str]) -> None:
    leave_interrupts_to_the_parent()
    os.environ |= variables


def _uploaded(path: Path, bucket: str, part_size: int) -> float:
    import boto3
    from boto3.s3.transfer import TransferConfig

    s3 = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
    s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
    with path.open("rb") as file:
        begun = time.monotonic()
        s3.upload_fileobj(file, bucket, _KEY, Config=TransferConfig(multipart_chunksize=part_size))
        return time.monotonic() - begun
