"""Files that go straight into quarantine, past the API, on the stack that `make run` starts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import boto3
import httpx

from tests.stack import Stack, until
from worker.canaries import eicar

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def _store(stack: Stack) -> S3Client:
    """With credentials of the service's own."""
    env = stack.env
    session = boto3.session.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    return session.client("s3", endpoint_url=env["AWS_ENDPOINT_URL_S3"], region_name=env["AWS_REGION"])


def _outcome(client: httpx.Client, key: str) -> dict[str, Any]:
    accepted = client.post("/v1/scans", json={"key": key})
    assert accepted.status_code == 202, accepted.text
    scan: dict[str, Any] = client.get(f"/v1/scans/{accepted.json()['id']}", params={"wait": 60}).json()
    return scan


def test_a_form_a_hand_over_and_the_promoted_file(stack: Stack) -> None:
    data = secrets.token_hex(1000).encode()
    with stack.client() as client:
        asked = {"filename": "words.txt", "content_type": "text/plain", "size": len(data)}
        promised = client.post("/v1/uploads/presigned", json=asked).json()
        assert httpx.post(promised["url"], data=promised["fields"], files={"file": data}, trust_env=False).is_success
        scan = _outcome(client, promised["key"])
        assert (scan["id"], scan["status"], scan["size"]) == (promised["scan"]["id"], "clean", len(data))
        content = client.get(f"/v1/scans/{scan['id']}/content", follow_redirects=True)
        assert content.content == data
    assert promised["key"] not in stack.keys("quarantine")


def test_a_service_s_own_object(stack: Stack) -> None:
    store, key = _store(stack), f"incoming/default/{secrets.token_hex(8)}/invoice.txt"
    store.put_object(Bucket="quarantine", Key=key, Body=eicar())
    store.close()
    with stack.client() as client:
        scan = _outcome(client, key)
    assert (scan["status"], scan["filename"]) == ("infected", "invoice.txt")
    until(
        lambda: not [each for each in stack.keys("quarantine") if each in (key, f"sealed/{scan['id']}")], 5, "nothing"
    )
