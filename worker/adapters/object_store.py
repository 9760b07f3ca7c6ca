"""Any S3, through boto3. Credentials, region and endpoint come from boto3's own chain.

Every method is one call (but for `fetch`, which streams, and large files, which go in parts) and raises
`StoreUnavailable` where the store does not answer as it should, its kind `StoreRefuses` where it refuses us, and
`Permanent` where it refuses the call. A missing object and a changed one are told apart from all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from botocore.config import Config

from worker.adapters.multipart import MultipartStore
from worker.adapters.objects import Before, Exactly, Form, Label, Listed, ObjectInfo, Place
from worker.adapters.s3_clients import client, configuration
from worker.adapters.s3_faults import faults_told
from worker.errors import ContentChanged, ObjectMissing, ScratchChanged, StoreRefuses, StoreUnavailable

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import PaginatorConfigTypeDef

CHUNK = 1024 * 1024  # bytes per read of a fetch
PART = 8 * 1024 * 1024  # bytes of one call that writes a large file; two of them are in memory
COPY_PART = 64 * 1024 * 1024  # bytes of one call that copies inside the store, which is silent meanwhile


class ObjectStore(MultipartStore):
    """A client with its own connections; make one per process. Safe to use from several threads."""

    def __init__(self, *, connect_timeout: float, timeout: float, public_url: str | None = None) -> None:
        """Time-outs in seconds: to connect, and for each answer. `public_url`: what clients call the store."""
        config = configuration(connect_timeout, timeout)
        session = boto3.session.Session()
        once = config.merge(Config(retries={"total_max_attempts": 1}))
        super().__init__(client(session, config), client(session, once))
        self._public = client(session, config, public_url) if public_url else self._s3

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Write an object in one call; returns its ETag."""
        with faults_told(f"s3://{bucket}/{key}"):
            return self._s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]

    def put_file(self, target: Place, file: BinaryIO, content: Exactly, label: Label, before: Before) -> None:
        """Write a file, labelled; in parts where it is large. `before` is called before each call.

        Raises `ScratchChanged` where the file is not `content`, by the bytes that were sent: then nothing is there.
        """
        if content.size <= PART:
            body = file.read(PART + 1)
            _check_same(content, len(body), hashlib.sha256(body).hexdigest())
            before()
            with faults_told(str(target)):
                self._s3.put_object(Bucket=target.bucket, Key=target.key, Body=body, **label.arguments())
            return
        hashed, size = hashlib.sha256(), 0
        with self.in_parts(target, content.size, label, before) as (upload, parts):
            while part := file.read(PART):
                hashed.update(part)
                size += len(part)
                before()
                parts.append(self.put_part(target.bucket, target.key, upload, len(parts) + 1, part))
            _check_same(content, size, hashed.hexdigest())

    def copy(self, source: Place, target: Place, found: ObjectInfo, before: Before) -> ObjectInfo:
        """Copy, inside the store, what `head` found; in parts where it is large. `before` is called before each call.

        Raises `ContentChanged` where another object is there by now, and `ObjectMissing` where none is. Only bytes are
        copied: what else the writer attached stays behind.
        """
        pinned: Any = {"CopySource": {"Bucket": source.bucket, "Key": source.key}, "CopySourceIfMatch": found.etag}
        if found.size <= COPY_PART:
            before()
            with faults_told(f"{source} to {target}"):
                self._s3.copy_object(Bucket=target.bucket, Key=target.key, MetadataDirective="REPLACE", **pinned)
        else:
            with self.in_parts(target, found.size, None, before) as (upload, parts):
                for start in range(0, found.size, COPY_PART):
                    before()
                    end = min(start + COPY_PART, found.size) - 1
                    parts.append(self._copy_part(target, upload, len(parts) + 1, f"bytes={start}-{end}", pinned))
        copied = self.head(*target)
        if copied is None:
            raise StoreUnavailable(f"{target}: the copy is not there; trying again can help")
        return copied

    def _copy_part(self, target: Place, upload: str, number: int, span: str, pinned: Any) -> str:
        with faults_told(str(target)):
            answer = self._s3.upload_part_copy(
                Bucket=target.bucket,
                Key=target.key,
                UploadId=upload,
                PartNumber=number,
                CopySourceRange=span,
                **pinned,
            )
        return answer["CopyPartResult"]["ETag"]

    def fetch(self, bucket: str, key: str, etag: str) -> Iterator[bytes]:
        """The object's bytes in chunks, pinned to its ETag.

        Raises `ContentChanged` where the object has another ETag and `ObjectMissing` where there is none.
        """
        try:
            with faults_told(f"s3://{bucket}/{key}"):
                body = self._s3.get_object(Bucket=bucket, Key=key, IfMatch=etag)["Body"]
        except ObjectMissing:
            self.check(bucket)  # some stores say so where the whole bucket is missing
            raise
        with faults_told(f"s3://{bucket}/{key}"), closing(body):
            yield from body.iter_chunks(CHUNK)

    def delete(self, bucket: str, key: str) -> None:
        """Delete whatever is there, also nothing. Unconditional: stores disagree about conditions on DELETE."""
        with faults_told(f"s3://{bucket}/{key}"):
            self._s3.delete_object(Bucket=bucket, Key=key)

    def delete_exactly(self, bucket: str, key: str, etag: str) -> None:
        """Delete the object that has this ETag; another one stays, and none is fine.

        In two calls: the condition goes along for stores that know it on DELETE, so that what is written between the
        two stays; the look before is for all others, which ignore it.
        """
        found = self.head(bucket, key)
        if found is None or found.etag != etag:
            return
        with suppress(ContentChanged, ObjectMissing), faults_told(f"s3://{bucket}/{key}"):
            self._s3.delete_object(Bucket=bucket, Key=key, IfMatch=etag)

    def keys(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """The keys under a prefix, in order, a page at a time."""
        return (each.key for each in self.listing(bucket, prefix))

    def listing(self, bucket: str, prefix: str, page_size: int = 1000) -> Iterator[Listed]:
        """The objects under a prefix, by ascending key, a page at a time."""
        with faults_told(f"s3://{bucket}/{prefix}"):
            paging: PaginatorConfigTypeDef = {"PageSize": page_size}
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix, PaginationConfig=paging):
                for item in page.get("Contents", []):
                    yield Listed(item["Key"], item["Size"], item["LastModified"], item.get("ETag", ""))

    def top_level(self, bucket: str) -> Iterator[str]:
        """What the keys of a bucket begin with, up to and including their first slash; whole where they have none."""
        with faults_told(f"s3://{bucket}"):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/"):
                yield from (each["Prefix"] for each in page.get("CommonPrefixes", []))
                yield from (each["Key"] for each in page.get("Contents", []))

    def download_url(self, bucket: str, key: str, *, disposition: str, media_type: str, seconds: int) -> str:
        """An address under which anybody may fetch the object for `seconds`; no call is made.

        `disposition` and `media_type` are what the answer says, whatever is stored with the object.
        """
        answer = {"ResponseContentDisposition": disposition, "ResponseContentType": media_type}
        wanted = {"Bucket": bucket, "Key": key, **answer}
        return self._public.generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds)

    def upload_form(self, target: Place, *, content_type: str, size: int, seconds: int) -> Form:
        """A form by which anybody may put one file of exactly this size and type there, for `seconds`; no call is
        made. The store enforces it (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html).
        """
        kind = {"Content-Type": content_type}
        form = self._public.generate_presigned_post(
            target.bucket,
            target.key,
            Fields=dict(kind),
            Conditions=[kind, ["content-length-range", size, size]],
            ExpiresIn=seconds,
        )
        return Form(form["url"], form["fields"])

    def check(self, bucket: str) -> None:
        """Return if the bucket is there for us; raise what keeps us from it otherwise."""
        try:
            with faults_told(f"s3://{bucket}"):
                self._s3.head_bucket(Bucket=bucket)
        except ObjectMissing as fault:
            raise StoreRefuses(f"there is no bucket {bucket}", expected="an existing bucket of that name") from fault


def _check_same(content: Exactly, size: int, sha256: str) -> None:
    if (size, sha256) != content:
        raise ScratchChanged
