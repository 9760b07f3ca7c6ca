"""The doctor at an object store: buckets that strangers get at, credentials that allow too much, clocks that differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ops.doctor import buckets, clocks, identity
from ops.doctor.check import Finding, Verdict
from ops.doctor.examine import examine
from ops.doctor.subject import Subject
from ops.embedded import s3_server
from ops.embedded.accounts import private_file
from ops.embedded.ports import choose
from ops.embedded.s3_server import Seaweed
from ops.embedded.supervisor import Supervisor
from tests.conftest import store_of
from worker.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHECKS = {check.name: check for module in (buckets, clocks, identity) for check in module.CHECKS}
OURS = ("doctor-quarantine", "doctor-clean")
OPEN, PUBLISHED, FOREIGN = "doctor-open", "doctor-published", "doctor-foreign"
NARROW = ("narrow-access", "narrow-secret")
PUBLIC_POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{PUBLISHED}/*"}
    ],
}


class _Store(Seaweed):
    """With an identity that has just what we need, and one for strangers, who may do anything in one bucket."""

    def prepare(self) -> None:
        super().prepare()
        known = json.loads(self._identities.read_text())
        rights = [f"{action}:{bucket}" for bucket in OURS for action in ("Read", "Write", "List")]
        credentials = [{"accessKey": NARROW[0], "secretKey": NARROW[1]}]
        known["identities"] += [
            {"name": "narrow", "credentials": credentials, "actions": rights},
            {"name": "anonymous", "actions": [f"{action}:{OPEN}" for action in ("Read", "Write", "List")]},
        ]
        private_file(self._identities, json.dumps(known))


@pytest.fixture(scope="module")
def store(servers: Supervisor, server_folder: Path) -> dict[str, str]:
    """The variables that lead to it, as whoever may do anything."""
    folder = server_folder / "doctor-s3"
    sockets = server_folder / "doctor"
    sockets.mkdir()
    server = _Store(folder, sockets, choose(s3_server.PORTS), "all-access", "all-secret", (OURS[0],), 32)
    server.name = "doctor-seaweedfs"
    servers.start(server)
    with store_of(server.settings()) as client:
        for bucket in (OURS[1], OPEN, PUBLISHED, FOREIGN):
            client.create_bucket(Bucket=bucket)
    return server.settings()


@pytest.fixture
def administrator(store: dict[str, str]) -> Iterator[S3Client]:
    with store_of(store) as client:
        yield client


@pytest.fixture(autouse=True)
def _environment(store: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store.items():
        monkeypatch.setenv(name, value)


def _look(name: str, quarantine: str = OURS[0], clean: str = OURS[1], *, production: bool = False) -> Finding:
    settings = Settings(_env_file=None, quarantine_bucket=quarantine, clean_bucket=clean)
    subject = Subject({"LAZARETTO_ENV": "production"} if production else {}, settings, ())
    try:
        [result] = examine([CHECKS[name]], subject)
        return result.finding
    finally:
        subject.close()


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", NARROW[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", NARROW[1])


@pytest.mark.usefixtures("_narrow")
@pytest.mark.parametrize("name", ["buckets", "public-buckets", "bucket-grants", "bucket-versions", "store-identity"])
def test_two_buckets_for_an_identity_that_has_nothing_else_are_sound(name: str) -> None:
    assert _look(name, production=True).verdict is Verdict.OK


def test_a_bucket_that_is_open_to_anybody_fails(administrator: S3Client) -> None:
    finding = _look("public-buckets", quarantine=OPEN)
    assert finding.verdict is Verdict.FAIL
    assert f"anybody can list, read, write to {OPEN}" in finding.found
    assert administrator.list_objects_v2(Bucket=OPEN)["KeyCount"] == 0, "what was put there to try it is gone"


def test_a_bucket_whose_policy_is_public_fails_twice(administrator: S3Client) -> None:
    administrator.put_bucket_policy(Bucket=PUBLISHED, Policy=json.dumps(PUBLIC_POLICY))
    tried, read = _look("public-buckets", clean=PUBLISHED), _look("bucket-grants", clean=PUBLISHED)
    assert (tried.verdict, read.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert f"anybody can read {PUBLISHED}" in tried.found
    assert f"the policy of {PUBLISHED} is public" in read.found
    assert administrator.list_objects_v2(Bucket=PUBLISHED)["KeyCount"] == 0


def test_a_policy_about_one_place_is_tried_there(administrator: S3Client) -> None:
    """Our own identity need not be shown policies, and then this is all that tells."""
    bucket = "doctor-partly"
    administrator.create_bucket(Bucket=bucket)
    administrator.put_object(Bucket=bucket, Key="avatars/1/1-1", Body=b"promoted")
    assert _look("public-buckets", clean=bucket).verdict is Verdict.OK
    [statement] = PUBLIC_POLICY["Statement"]
    partly = statement | {"Resource": f"arn:aws:s3:::{bucket}/avatars/*"}
    administrator.put_bucket_policy(Bucket=bucket, Policy=json.dumps(PUBLIC_POLICY | {"Statement": [partly]}))
    try:
        finding = _look("public-buckets", clean=bucket)
    finally:
        administrator.delete_object(Bucket=bucket, Key="avatars/1/1-1")
        administrator.delete_bucket(Bucket=bucket)
    assert finding.verdict is Verdict.FAIL
    assert f"anybody can read avatars/ of {bucket}" in finding.found


def test_a_bucket_that_is_missing_fails() -> None:
    for name in ("buckets", "public-buckets"):
        finding = _look(name, clean="doctor-nowhere")
        assert finding.verdict is Verdict.FAIL
        assert "s3://doctor-nowhere" in finding.found


def test_an_identity_that_may_do_anything_is_dangerous(administrator: S3Client) -> None:
    before = {each["Name"] for each in administrator.list_buckets()["Buckets"]}
    finding = _look("store-identity", production=True)
    assert finding.verdict is Verdict.FAIL
    assert _look("store-identity").verdict is Verdict.WARN
    for fault in ("it sees 3 buckets", f"it can list {FOREIGN}", "it can make buckets", "it can change the policy"):
        assert fault in finding.found
    assert {each["Name"] for each in administrator.list_buckets()["Buckets"]} == before


def test_a_bucket_that_keeps_what_is_deleted_is_a_warning(administrator: S3Client) -> None:
    administrator.create_bucket(Bucket="doctor-versioned")
    administrator.put_bucket_versioning(Bucket="doctor-versioned", VersioningConfiguration={"Status": "Enabled"})
    finding = _look("bucket-versions", clean="doctor-versioned")
    assert finding == Finding(Verdict.WARN, "doctor-versioned keeps versions")
    administrator.delete_bucket(Bucket="doctor-versioned")


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0, Verdict.OK), (10, Verdict.WARN), (-10, Verdict.WARN), (60, Verdict.FAIL)]
)
def test_a_clock_that_is_not_the_stores(monkeypatch: pytest.MonkeyPatch, seconds: int, verdict: Verdict) -> None:
    monkeypatch.setattr(clocks, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    assert _look("store-clock").verdict is verdict


@pytest.mark.parametrize("name", ["buckets", "public-buckets", "store-identity", "store-clock"])
def test_a_store_that_is_away_is_never_sound(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    finding = _look(name)
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("could not be looked at: ")
