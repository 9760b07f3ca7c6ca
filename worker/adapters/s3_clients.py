"""The boto3 clients of an object store, and how they behave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config
from botocore.handlers import convert_body_to_file_like_object

from worker.production import is_loopback

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def configuration(connect_timeout: float, timeout: float) -> Config:
    """One repetition inside a call at most: the lease must outlive it. Checksums only where S3 demands them:
    we keep a SHA-256 of our own. A named endpoint gets path-style addresses, which need no wildcard DNS.

    Requests are signed everywhere, their bodies too unless the store is on this machine, where nobody can change them
    on the way: that is what the signature of a body is for, and it hashes each once more
    (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return Config(
        connect_timeout=connect_timeout,
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=64,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        s3={
            "addressing_style": "path" if endpoint else "auto",
            "payload_signing_enabled": not (endpoint and is_loopback(endpoint)),
        },
        user_agent="lazaretto",  # boto3 puts its own together anew for each call, twice
    )


def client(session: Session, config: Config, endpoint: str | None = None) -> S3Client:
    """One that sends bodies as the bytes that they are. boto3 makes files of them, before which it asks whether they
    are welcome, which takes a round trip and 25 reads of one byte, and which it then sends in pieces of 16 KiB."""
    made: S3Client = session.client("s3", config=config, endpoint_url=endpoint)
    for operation in ("PutObject", "UploadPart"):
        made.meta.events.unregister(f"before-parameter-build.s3.{operation}", convert_body_to_file_like_object)
    return made
