"""The floor: what the parts cost with nothing in between.

Each process takes the next file, and does with bare boto3 and a bare socket: S3 put (quarantine), S3 get, clamd FILDES
on a memfd, for images libvips decode and encode, S3 copy or put (clean), S3 delete. No queue, no database, no HTTP API,
no isolation.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from ops.bench.corpus import File

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

QUARANTINE, CLEAN = "floor-quarantine", "floor-clean"
_SAVE = {"Q": 85, "keep": "none"}
_REPLY = 4096  # bytes; clamd's is shorter


class Floor:
    """One process's connections, and its six calls."""

    def __init__(self, clamd: str) -> None:
        """`clamd` is the path of its socket. S3 is where boto3's own chain says."""
        os.environ.setdefault("VIPS_CONCURRENCY", "1")  # processes share the cores, not threads
        import boto3
        import pyvips

        self._vips, self._clamd = pyvips, clamd
        self._s3: S3Client = boto3.client("s3", region_name=os.environ.get("AWS_REGION"))
        self._data, self._picture = b"", b""

    def warm_up(self) -> None:
        """Connect, and load what the first call would."""
        self._vips.Image.black(8, 8).jpegsave_buffer()
        present = {bucket.get("Name") for bucket in self._s3.list_buckets()["Buckets"]}
        for bucket in {QUARANTINE, CLEAN} - present:
            self._s3.create_bucket(Bucket=bucket)

    def seconds(self, file: File) -> float:
        """One file from end to end. Raises `RuntimeError` where clamd finds anything."""
        self._data, self._picture = file.data, b""
        begun = time.perf_counter()
        for call in (self._put, self._get, self._scan, self._image, self._promote, self._delete):
            call(file)
        return time.perf_counter() - begun

    def _put(self, file: File) -> None:
        self._s3.put_object(Bucket=QUARANTINE, Key=file.name, Body=file.data, ContentType=file.content_type)

    def _get(self, file: File) -> None:
        self._data = self._s3.get_object(Bucket=QUARANTINE, Key=file.name)["Body"].read()

    def _scan(self, file: File) -> None:
        descriptor = os.memfd_create(file.name)
        try:
            os.write(descriptor, self._data)
            reply = _asked(self._clamd, descriptor)
        finally:
            os.close(descriptor)
        if not reply.endswith(": OK"):
            raise RuntimeError(f"{file.name}: clamd answered {reply!r}, expected OK")

    def _image(self, file: File) -> None:
        if file.content_type == "image/jpeg":
            image = self._vips.Image.new_from_buffer(self._data, "", access="sequential", fail_on="error")
            self._picture = image.jpegsave_buffer(**_SAVE)

    def _promote(self, file: File) -> None:
        if self._picture:
            self._s3.put_object(Bucket=CLEAN, Key=file.name, Body=self._picture, ContentType=file.content_type)
        else:
            source: Any = {"Bucket": QUARANTINE, "Key": file.name}
            self._s3.copy_object(Bucket=CLEAN, Key=file.name, CopySource=source)

    def _delete(self, file: File) -> None:
        self._s3.delete_object(Bucket=QUARANTINE, Key=file.name)


def _asked(path: str, descriptor: int) -> str:
    """Hand an open file to clamd; its reply."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        link.sendall(b"zFILDES\0")
        socket.send_fds(link, [b"\0"], [descriptor])
        reply = b""
        while not reply.endswith(b"\0"):
            part = link.recv(_REPLY)
            if not part:
                raise ConnectionError(f"clamd closed the connection after {reply!r}")
            reply += part
    return reply.rstrip(b"\0").decode()
