"""One large file with boto3's own transfers, in a process that does nothing else."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ops.bench.factory import leave_interrupts_to_the_parent

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_KEY = "floor/large"


class BareBoto:
    """The other process, as it is asked."""

    def __init__(self, pool: ProcessPoolExecutor, bucket: str, part_size: int) -> None:
        self._pool, self._where = pool, (bucket, part_size)

    @classmethod
    @contextmanager
    def running(cls, variables: Mapping[str, str], bucket: str, part_size: int) -> Iterator[BareBoto]:
        """`variables`: the environment in which boto3 finds S3. `part_size` in bytes."""
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(dict(variables),)) as pool:
            yield cls(pool, bucket, part_size)

    def upload(self, path: Path) -> float:
        """Seconds that `upload_fileobj` takes; it is connected before."""
        return self._pool.submit(_uploaded, path, *self._where).result()

    def growth(self, path: Path) -> int:
        """Bytes by which the process grows at most over an upload and a download."""
        return self._pool.submit(_grown, path, *self._where).result()


def peak_memory(pid: int) -> int:
    """Bytes that were resident at most, since it was reset."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def reset_peak(pid: int) -> int:
    """From now on the peak counts anew; bytes that are resident. See proc_pid_clear_refs(5)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_memory(pid)


def _begin(variables: dict[str, str]) -> None:
    leave_interrupts_to_the_parent()
    os.environ |= variables


def _connected(bucket: str) -> S3Client:
    import boto3

    s3 = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
    s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
    return s3


def _uploaded(path: Path, bucket: str, part_size: int) -> float:
    from boto3.s3.transfer import TransferConfig

    s3 = _connected(bucket)
    with path.open("rb") as file:
        begun = time.monotonic()
        s3.upload_fileobj(file, bucket, _KEY, Config=TransferConfig(multipart_chunksize=part_size))
        return time.monotonic() - begun


def _grown(path: Path, bucket: str, part_size: int) -> int:
    s3, before = _connected(bucket), reset_peak(os.getpid())
    _uploaded(path, bucket, part_size)
    s3.download_file(bucket, _KEY, f"{path}.again")
    Path(f"{path}.again").unlink()
    s3.delete_object(Bucket=bucket, Key=_KEY)
    return peak_memory(os.getpid()) - before
