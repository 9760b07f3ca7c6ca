"""Our S3 identity: can it do more than it needs? Whoever gets hold of it can do as much."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ops.doctor.check import Check, Finding, danger, fail, judged
from ops.doctor.store_answers import Answer, ask
from ops.doctor.subject import Subject
from worker.adapters.s3_faults import faults_told

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_BROKEN_POLICY = "{"  # nothing that a store could put in force
_ONLY_TO_ENTITLED = frozenset({"MalformedPolicy", "MalformedPolicyDocument", "InvalidPolicyDocument"})
_MOST_FOREIGN = 3  # buckets that are tried; one is enough
_FIRST_REGION = "us-east-1"  # which must not be named when a bucket is made there


def _rights(subject: Subject) -> Finding:
    store, own = subject.store, subject.buckets
    faults = [*_foreign(store, own), *_making(store), *_policies(store, own[1])]
    if unclear := [fault for fault in faults if fault.startswith("it cannot be told")]:
        return fail("; ".join(unclear))
    found = "it reaches its two buckets, makes none and changes no policy"
    return judged(faults, found, lambda told: danger(subject, told))


def _foreign(store: S3Client, own: tuple[str, str]) -> Iterator[str]:
    try:
        names = [str(each["Name"]) for each in store.list_buckets()["Buckets"]]
    except ClientError:
        return
    foreign = [name for name in names if name not in own]
    if foreign:
        yield f"it sees {len(foreign)} buckets that are not ours"
    readable = [name for name in foreign[:_MOST_FOREIGN] if _can_list(store, name)]
    if readable:
        yield f"it can list {', '.join(readable)}"


def _can_list(store: S3Client, bucket: str) -> bool:
    return ask(lambda: store.list_objects_v2(Bucket=bucket, MaxKeys=1)) is Answer.ALLOWED


def _making(store: S3Client) -> Iterator[str]:
    """A bucket that it can make is gone again at once."""
    name, region = f"lazaretto-doctor-{secrets.token_hex(8)}", store.meta.region_name
    where: Any = {} if region == _FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    answer = ask(lambda: store.create_bucket(Bucket=name, **where))
    if answer is Answer.ALLOWED:
        with faults_told(f"s3://{name}"):
            store.delete_bucket(Bucket=name)
        yield "it can make buckets"
    elif answer is Answer.UNCLEAR:
        yield "it cannot be told whether it can make buckets"


def _policies(store: S3Client, bucket: str) -> Iterator[str]:
    """With a policy that no store accepts: only whoever may set one is told that it is broken."""
    answer = ask(lambda: store.put_bucket_policy(Bucket=bucket, Policy=_BROKEN_POLICY), allowed=_ONLY_TO_ENTITLED)
    if answer is Answer.ALLOWED:
        yield f"it can change the policy of {bucket}"
    elif answer is Answer.UNCLEAR:
        yield f"it cannot be told whether it can change the policy of {bucket}"


CHECKS = (
    Check(
        name="store-identity",
        what="what our S3 credentials allow",
        expected="list, read, write and delete in our two buckets, and nothing else",
        mend="give them a policy of s3:ListBucket, ListBucketMultipartUploads, GetObject, PutObject, DeleteObject and "
        "AbortMultipartUpload on the two; on SeaweedFS actions like Read:quarantine in place of Read and Admin",
        look=_rights,
    ),
)
