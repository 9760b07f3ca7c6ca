"""The buckets: is each there for us, and for nobody else? Tried for real, with requests that nobody has signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import ClientError

from ops.doctor.check import Check, Finding, fail, info, judged, not_applicable, ok, warn, worst
from ops.doctor.store_answers import Answer, ask
from ops.doctor.subject import Subject
from worker.adapters.s3_faults import faults_told

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PROBES = "lazaretto-doctor"  # what the keys begin with under which something is put, and deleted at once
_MOST_PLACES = 20  # in one bucket that are tried, of the services'
# Groups that are everybody (https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html).
_EVERYBODY = ("groups/global/AllUsers", "groups/global/AuthenticatedUsers")


def _there(subject: Subject) -> Finding:
    for bucket in subject.buckets:
        with faults_told(f"s3://{bucket}"):
            subject.store.head_bucket(Bucket=bucket)
    return ok(" and ".join(subject.buckets) + " answer")


def _closed(subject: Subject) -> Finding:
    return worst(_unsigned(subject.store, subject.anonymous_store, bucket) for bucket in subject.buckets)


def _unsigned(store: S3Client, anonymous: S3Client, bucket: str) -> Finding:
    with _probes(store, bucket) as (there, missing):
        tried: dict[str, Callable[[], object]] = {
            "list": lambda: anonymous.list_objects_v2(Bucket=bucket, MaxKeys=1),
            "read": partial(_read, anonymous, bucket, there),
            "write to": lambda: anonymous.put_object(Bucket=bucket, Key=missing, Body=b""),
        }
        tried |= {f"read {place} of": partial(_read, anonymous, bucket, key) for place, key in _samples(store, bucket)}
        answers = {what: ask(call) for what, call in tried.items()}
    allowed = [what for what, answer in answers.items() if answer is Answer.ALLOWED]
    unclear = [what for what, answer in answers.items() if answer is Answer.UNCLEAR]
    if allowed:
        return fail(f"anybody can {', '.join(allowed)} {bucket}")
    if unclear:
        return fail(f"it cannot be told whether anybody can {', '.join(unclear)} {bucket}")
    return ok(f"{bucket} refuses to be listed, read and written")


def _read(client: S3Client, bucket: str, key: str) -> None:
    client.get_object(Bucket=bucket, Key=key)["Body"].close()


def _samples(store: S3Client, bucket: str) -> Iterator[tuple[str, str]]:
    """Places in a bucket, and an object in each: a policy may be about one of them alone."""
    with faults_told(f"s3://{bucket}"):
        found = store.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=_MOST_PLACES).get("CommonPrefixes", [])
        for place in (each["Prefix"] for each in found if not each["Prefix"].startswith(_PROBES)):
            for each in store.list_objects_v2(Bucket=bucket, Prefix=place, MaxKeys=1).get("Contents", []):
                yield place, each["Key"]


@contextmanager
def _probes(store: S3Client, bucket: str) -> Iterator[tuple[str, str]]:
    """The key of an object that is there, and one where nothing is; nothing is at either afterwards."""
    there, missing = (f"{_PROBES}/{uuid4()}" for _ in range(2))
    with faults_told(f"s3://{bucket}/{there}"):
        store.put_object(Bucket=bucket, Key=there, Body=b"")
    try:
        yield there, missing
    finally:
        for key in (there, missing):
            with faults_told(f"s3://{bucket}/{key}"):
                store.delete_object(Bucket=bucket, Key=key)


def _granted(subject: Subject) -> Finding:
    return worst(_grants(subject.store, bucket) for bucket in subject.buckets)


def _grants(store: S3Client, bucket: str) -> Finding:
    """What policy and ACL say, where the store shows them to us; many do not, and should not."""
    told = []
    try:
        if store.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"].get("IsPublic"):
            return fail(f"the policy of {bucket} is public")
        told.append("policy")
    except ClientError as fault:
        if fault.response["Error"].get("Code") == "NoSuchBucketPolicy":
            told.append("policy (none)")
    try:
        grants = store.get_bucket_acl(Bucket=bucket)["Grants"]
        told.append("ACL")
    except ClientError:
        grants = []
    if any(str(grant["Grantee"].get("URI", "")).endswith(_EVERYBODY) for grant in grants):
        return fail(f"the ACL of {bucket} is for everybody")
    if not told:
        return info(f"{bucket}: the store does not show us policy and ACL")
    return ok(f"{bucket}: {' and '.join(told)} name nobody else")


def _versions(subject: Subject) -> Finding:
    kept = []
    for bucket in subject.buckets:
        try:
            if subject.store.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled":
                kept.append(f"{bucket} keeps versions")
        except ClientError as fault:
            return not_applicable(f"the store does not tell us ({fault.response['Error'].get('Code')})")
    return judged(kept, "what is deleted is gone", warn)


CHECKS = (
    Check(
        name="buckets",
        what="quarantine and clean bucket",
        expected="both are there for us",
        mend="create them; see to AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
        look=_there,
    ),
    Check(
        name="public-buckets",
        what="both buckets, asked without credentials",
        expected="list, read and write are refused",
        mend="delete the bucket's policy and ACL, and block public access; on SeaweedFS remove the identity anonymous",
        look=_closed,
    ),
    Check(
        name="bucket-grants",
        what="policy and ACL of both buckets",
        expected="nobody else is named",
        mend="delete the bucket's policy and ACL, and block public access",
        look=_granted,
    ),
    Check(
        name="bucket-versions",
        what="do the buckets keep what is deleted?",
        expected="no: malware and erased files would stay",
        mend="suspend versioning, or have a lifecycle rule delete old versions within a day",
        look=_versions,
    ),
)
