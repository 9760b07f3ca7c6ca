"""Where objects lie in the two buckets."""

from __future__ import annotations

import unicodedata

from worker.scan import Scan

SEALED = "sealed/"  # in quarantine: only we write there; no presigned form and no service reaches it

INCOMING = "incoming/"  # in quarantine: where services write, each under its own name

_LONGEST = 1024  # bytes of a key in UTF-8 (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)


def sealed_key(scan_id: str) -> str:
    """Where the bytes lie that a verdict is about."""
    return SEALED + scan_id


def promised_key(service: str, scan_id: str) -> str:
    """Where the holder of a presigned form puts the bytes of one scan, and nobody those of another."""
    return f"{INCOMING}{service}/{scan_id}"


def is_promised(scan: Scan) -> bool:
    """Was its place promised before there were bytes?"""
    return not scan.source_bucket and scan.source_key == promised_key(scan.service, scan.id)


def is_incoming_of(service: str, key: str) -> bool:
    """Is this a key under the service's own prefix, for every store that may hold it?

    Stores on file systems take `.`, `..`, empty segments and backslashes for a path, which may lead elsewhere:
    SeaweedFS 4 answers `a//x` with what lies at `a/x`, and refuses the others.
    """
    prefix = f"{INCOMING}{service}/"
    segments = key.removeprefix(prefix).split("/")
    return (
        key.startswith(prefix)
        and len(key.encode("utf-8", "surrogatepass")) <= _LONGEST
        and not {"", ".", ".."}.intersection(segments)
        and not any(each == "\\" or unicodedata.category(each) in ("Cc", "Cs") for each in key)
    )


def clean_prefix(scan: Scan) -> str:
    """What all clean keys of a scan begin with."""
    return f"{scan.clean_prefix or default_prefix(scan.service)}{scan.id}/"


def default_prefix(service: str) -> str:
    """What clean keys of a service begin with, where its policy says nothing else."""
    return f"{service}/"


def scan_id_in(key: str) -> str:
    """The id in a clean key, whatever its prefix; something else in a key that is not of our making."""
    return key.split("/")[-2] if "/" in key else key


def clean_key(scan: Scan) -> str:
    """Where the promoted object lies: an own place for each attempt and decision, so that a late call of an earlier
    one cannot harm it. Ends in the decision's number."""
    return f"{clean_prefix(scan)}{scan.attempts}-{scan.decision}"


def decision_of(key: str) -> int | None:
    """The decision that a clean key was made for; None for a key that is not of our making."""
    number = key.rsplit("-", 1)[-1]
    return int(number) if number.isascii() and number.isdigit() else None
