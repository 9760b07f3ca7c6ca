"""In plain words: how a scan stands, and where its bytes are."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from worker.scan import HELD, PROMOTED, Scan, Status

LABELS: dict[Status, str] = {
    Status.RECEIVING: "Receiving",
    Status.QUEUED: "Waiting",
    Status.SCANNING: "Scanning",
    Status.SETTLING: "Settling",
    Status.CLEAN: "Clean",
    Status.INFECTED: "Infected",
    Status.REJECTED: "Rejected",
    Status.UNSCANNABLE: "Unscannable",
    Status.FAILED: "Failed",
    Status.RELEASED: "Released",
    Status.EXPIRED: "Expired",
    Status.ERASED: "Erased",
}

SENTENCES: dict[Status, str] = {
    Status.RECEIVING: "The upload has begun, or has been promised; not every byte is here yet.",
    Status.QUEUED: "It waits for a worker.",
    Status.SCANNING: "A worker is looking at it.",
    Status.SETTLING: "The verdict is on record and is being carried out.",
    Status.CLEAN: "It passed every check.",
    Status.INFECTED: "It is malware.",
    Status.REJECTED: "It breaks the policy of its service.",
    Status.UNSCANNABLE: "It could not be proven clean.",
    Status.FAILED: "The system could not finish; this says nothing about the file.",
    Status.RELEASED: "It could not be proven clean; an operator promoted it all the same.",
    Status.EXPIRED: "It was never finished, or was held for as long as the policy says.",
    Status.ERASED: "Its bytes were erased on request.",
}


class Place(NamedTuple):
    """Where bytes are; `until`: when they will be deleted, where that is known."""

    told: str
    key: str | None = None
    until: datetime | None = None


def bytes_of(scan: Scan, retention: timedelta) -> Place:
    """What happened to the bytes; `retention`: for how long files are held."""
    if scan.status in PROMOTED and scan.promoted:
        return Place("In the clean bucket, and nowhere else.", f"{scan.promoted.bucket}/{scan.promoted.key}")
    if scan.status in HELD and scan.quarantine_key is not None:
        until = scan.finished_at + retention if scan.finished_at else None
        return Place("Held in quarantine until somebody decides.", until=until)
    if scan.status is Status.UNSCANNABLE:
        return Place("Deleted, as the policy says of what cannot be scanned.")
    if scan.status.ended:
        return Place("Deleted.")
    if scan.recalled:  # and not settled yet
        return Place("In the clean bucket still, about to be deleted from there: the API hands it out no more.")
    if scan.status is Status.RECEIVING:
        return Place("On their way to quarantine.")
    return Place("In quarantine, until the scan has ended.")


def label(scan: Scan) -> str:
    """One or two words for a list."""
    return LABELS[scan.status]
