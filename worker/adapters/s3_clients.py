"""The boto3 clients of an object store, and how they behave."""

from __future__ import annotations

import os

from botocore.config import Config


def configuration(connect_timeout: float, timeout: float) -> Config:
    """One repetition inside a call at most: the lease must outlive it. Checksums only where S3 demands them:
    we keep a SHA-256 of our own. A named endpoint gets path-style addresses, which need no wildcard DNS."""
    named = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    return Config(
        connect_timeout=connect_timeout,
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=64,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version="s3v4",
        s3={"addressing_style": "path" if named else "auto"},
    )
