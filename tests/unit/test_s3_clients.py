"""What the clients of the object store say of a body, by where the store is."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from boto3.session import Session

from worker.adapters.s3_clients import client, configuration

BODY = b"bytes of a file"
SIGNED = hashlib.sha256(BODY).hexdigest()


class Stopped(Exception):
    """Nothing is sent here."""


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("https://s3.example", SIGNED),
        ("http://s3.example:9000", SIGNED),
        ("http://10.0.0.1:9000", SIGNED),
        ("http://127.0.0.1.example", SIGNED),
        ("http://127.0.0.1:8333", "UNSIGNED-PAYLOAD"),
        ("http://[::1]:8333", "UNSIGNED-PAYLOAD"),
        ("http://localhost:8333", "UNSIGNED-PAYLOAD"),
        (None, SIGNED),
    ],
)
def test_a_body_is_signed_wherever_it_leaves_this_machine(
    endpoint: str | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    sent: list[str] = []

    def stop(request: Any, **_: Any) -> None:
        sent.append(request.headers["X-Amz-Content-SHA256"].decode())
        raise Stopped

    s3 = client(Session("access", "secret", region_name="us-east-1"), configuration(1, 1))
    s3.meta.events.register("before-send.s3", stop)
    with pytest.raises(Stopped):
        s3.put_object(Bucket="bucket", Key="key", Body=BODY)
    assert sent == [said]
