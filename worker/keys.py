"""Where objects lie in the two buckets."""

from __future__ import annotations

from worker.scan import Scan

SEALED = "sealed/"  # in quarantine: only we write there; no presigned form and no service reaches it

INCOMING = "incoming/"  # in quarantine: where services write, each under its own name


def sealed_key(scan_id: str) -> str:
    """Where the bytes lie that a verdict is about."""
    return SEALED + scan_id


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
