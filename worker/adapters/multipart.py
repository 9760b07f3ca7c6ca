"""Objects too large for one call: written in parts, which are nothing until they are completed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from worker.adapters.objects import Before, Label, ObjectInfo, Place
from worker.adapters.s3_faults import faults_told
from worker.errors import LazarettoError, ObjectMissing

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef


class MultipartStore:
    """What an object store does with parts, and the look that tells whether they became an object."""

    def __init__(self, s3: S3Client, once: S3Client) -> None:
        """`once`: a client that repeats no call by itself."""
        self._s3, self._s3_once = s3, once

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """What is there; None where nothing is."""
        try:
            with faults_told(f"s3://{bucket}/{key}"):
                answer = self._s3.head_object(Bucket=bucket, Key=key)
        except ObjectMissing:
            return None
        return ObjectInfo(answer["ContentLength"], answer["ETag"], answer["Metadata"], answer["LastModified"])

    def begin(self, bucket: str, key: str, label: Label | None = None) -> str:
        """Begin a multipart upload; returns its id. Never repeated by itself: a store that was only slow would begin
        two, and nobody would know of the first."""
        with faults_told(f"s3://{bucket}/{key}"):
            options = label.arguments() if label else {}
            return self._s3_once.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]

    def put_part(self, bucket: str, key: str, upload: str, number: int, body: bytes) -> str:
        """Write part `number` (from 1) of a multipart upload; returns the part's ETag."""
        with faults_told(f"s3://{bucket}/{key}"):
            answer = self._s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
            return answer["ETag"]

    def complete(self, bucket: str, key: str, upload: str, parts: list[str], size: int) -> str:
        """Make the parts one object of `size` bytes; returns its ETag."""
        listed: list[CompletedPartTypeDef] = [{"ETag": tag, "PartNumber": at} for at, tag in enumerate(parts, 1)]
        try:
            with faults_told(f"s3://{bucket}/{key}"):
                answer = self._s3.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": listed}
                )
                return answer["ETag"]
        except ObjectMissing:  # no such upload: a first call may have completed it, and its answer been lost
            found = self.head(bucket, key)
            if found is None or found.size != size:
                raise
            return found.etag

    def abort(self, bucket: str, key: str, upload: str) -> None:
        """Throw the parts away; an upload that is gone already is fine."""
        try:
            with faults_told(f"s3://{bucket}/{key}"):
                self._s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        except ObjectMissing:
            return

    def abort_all(self, bucket: str, prefix: str, begun_before: datetime | None = None) -> int:
        """Throw away the multipart uploads under a prefix that were never ended, or only those begun before a moment;
        returns how many there were."""
        aborted = 0
        with faults_told(f"s3://{bucket}/{prefix}"):
            for page in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
                for upload in page.get("Uploads", []):
                    if begun_before is None or upload["Initiated"] < begun_before:
                        self.abort(bucket, upload["Key"], upload["UploadId"])
                        aborted += 1
        return aborted

    @contextmanager
    def in_parts(
        self, target: Place, size: int, label: Label | None, before: Before
    ) -> Iterator[tuple[str, list[str]]]:
        """A multipart upload and its list of parts: completed at the end of the block, aborted on an exception."""
        before()
        upload, parts = self.begin(target.bucket, target.key, label), list[str]()
        try:
            yield upload, parts
            before()
            self.complete(target.bucket, target.key, upload, parts, size)
        except BaseException:
            with suppress(LazarettoError):  # unfinished parts cost room, and nothing else
                self.abort(target.bucket, target.key, upload)
            raise
