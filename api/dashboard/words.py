"""Plain words for what keeps a file from being clean, and for what stops a worker: what it means, and what to do."""

from __future__ import annotations

from typing import NamedTuple

from worker.scan import ReasonCode


class Words(NamedTuple):
    """What people are told of a code."""

    label: str  # for lists
    meaning: str
    advice: str  # what an operator can do


_FOR_THE_UPLOADER = "Nothing here. Whoever uploaded it can send another file."
_POLICY = "If such files are wanted, change the policy of the service; then the file must be uploaded again."
_STORE = "Look at the object store: is it up, and reachable from the workers? Then retry."

REASONS: dict[str, Words] = {
    ReasonCode.SIGNATURE_FOUND: Words(
        "Malware found",
        "The scanner knows this content, or something in it, as malware.",
        "The bytes are deleted. Tell whoever sent the file; if it is a false alarm, have it sent again once the "
        "signatures are mended.",
    ),
    ReasonCode.TYPE_NOT_ALLOWED: Words(
        "Type not allowed", "The content is of a type that this service does not take.", _POLICY
    ),
    ReasonCode.TYPE_MISMATCH: Words(
        "Not what it claims to be",
        "The content is another thing than its name or its declared type says, or several things at once.",
        "Usually a wrong extension. A file that pretends on purpose is a reason to look at who sent it.",
    ),
    ReasonCode.IMAGE_UNDECODABLE: Words(
        "Damaged image", "The image is cut, damaged, or no valid image of its type.", _FOR_THE_UPLOADER
    ),
    ReasonCode.IMAGE_TOO_LARGE: Words(
        "Image too large", "The image has more pixels, or more data around them, than the policy allows.", _POLICY
    ),
    ReasonCode.IMAGE_TOO_MANY_FRAMES: Words(
        "Too many frames", "The animation has more frames, or the document more pages, than the policy allows.", _POLICY
    ),
    ReasonCode.EMPTY_FILE: Words("Empty file", "There is not one byte in it.", _FOR_THE_UPLOADER),
    ReasonCode.FILE_TOO_LARGE: Words("File too large", "It is larger than the policy of its service allows.", _POLICY),
    ReasonCode.ENCRYPTED: Words(
        "Encrypted",
        "The content, or a part of it, is encrypted: nobody can look into it without the password.",
        "Ask for a file without a password. Release it only if you know what it is and who sent it.",
    ),
    ReasonCode.SCAN_LIMITS_EXCEEDED: Words(
        "Too much to scan",
        "It is larger, or packed deeper, than a scanner can look into, or of a kind that none can open.",
        "Ask for it in smaller parts. Release it only if you know what it is and who sent it.",
    ),
    ReasonCode.SCAN_TIMED_OUT: Words(
        "Scan took too long",
        "Looking into it took longer than a scan may.",
        "Retry it when the scanners are less busy. If it times out again, ask for a simpler file.",
    ),
    ReasonCode.CONTENT_CHANGED: Words(
        "Changed meanwhile",
        "The bytes were replaced or removed between the upload and the scan.",
        "If its service did not do that itself, find out who else can write to the quarantine bucket.",
    ),
}

ERRORS: dict[str, Words] = {
    "scanner_unavailable": Words(
        "No scanner",
        "No scanner takes work: none can be reached, or none can be trusted.",
        "The overview says which scanner is away and why. Retry once one is back.",
    ),
    "scanner_failed": Words(
        "Scanner failed",
        "The scanner was given this very file and broke down, each time.",
        "Look at clamd's log. If other files pass, it is this file, and each retry costs the scanner another fall.",
    ),
    "worker_lost": Words(
        "Worker lost",
        "The worker that had this file died, each time, without a word.",
        "Look at the kernel's log for killed processes. If other files pass, this one is deadly to the worker.",
    ),
    "time_limit_exceeded": Words(
        "Took too long", "The file took longer than the time limit of a scan, each time.", "Retry at a quieter time."
    ),
    "sandbox_unavailable": Words(
        "No sandbox",
        "The sandbox in which files are opened cannot be started.",
        "Run `lazaretto doctor` on the worker's machine, and retry.",
    ),
    "sandbox_failed": Words(
        "Sandbox failed",
        "What looks into files broke down on this one, each time.",
        "Look at the worker's log. Retry after an update; if other files pass, it is this file.",
    ),
    "object_store_unavailable": Words("Store unavailable", "The object store did not answer.", _STORE),
    "object_store_refuses": Words(
        "Store refuses",
        "The object store refuses us: credentials, buckets or clocks do not fit.",
        "Run `lazaretto doctor`, mend what it names, and retry.",
    ),
    "object_missing": Words(
        "Bytes missing",
        "The bytes on record are not in the quarantine bucket.",
        "Find out who deleted them (a lifecycle rule?). The file must be uploaded again.",
    ),
    "database_unavailable": Words(
        "Database unavailable", "The database did not answer.", "Look at the database, and retry."
    ),
    "queue_unavailable": Words(
        "Queue unavailable", "Redis did not answer.", "Look at Redis. The sweeper hands the file over by itself."
    ),
    "dependency_failed": Words(
        "Dependency failed", "Something that the worker needs failed.", "Look at the overview's checks, and retry."
    ),
    "dependency_unavailable": Words(
        "Dependency unavailable",
        "Something that the worker needs could not be reached.",
        "Look at the overview's checks, and retry.",
    ),
    "permanent_fault": Words(
        "Fault of ours",
        "Something on our side has to be mended before trying again can help.",
        "The worker's log names it, under the id of this scan. Mend it, and retry.",
    ),
    "scratch_full": Words(
        "No room on disk", "The disk for scratch files is full.", "Make room on the worker's machine, and retry."
    ),
    "scratch_outgrown": Words(
        "No room on disk",
        "The file, unpacked or made anew, needs more room than there is for scratch files.",
        "Give the worker's scratch folder more room, and retry.",
    ),
    "scratch_changed": Words(
        "Scratch file changed",
        "What was to be promoted was not what had been examined, so it was not promoted.",
        "Retry. If it happens again, find out who else writes to the worker's scratch folder, and check its memory.",
    ),
    "reencoding_changed": Words(
        "Image came out different",
        "Making the image anew gave other bytes than those that were proven clean.",
        "It starts over by itself: workers of two versions may be running side by side.",
    ),
    "lease_over": Words(
        "Lease ran out", "The worker could not renew its hold on the file in time.", "It starts over by itself."
    ),
    "worker_stopped": Words("Worker stopped", "The worker was stopped meanwhile.", "It starts over by itself."),
    "internal_error": Words(
        "Unknown fault",
        "Something happened that nobody has foreseen.",
        "The worker's log has it, under the id of this scan. Retry once; if it stays, report it.",
    ),
}

_UNKNOWN = "A newer release has put this code on record; this page does not know it yet."


def of(code: str) -> Words:
    """The words for a code, whatever it is."""
    return REASONS.get(code) or ERRORS.get(code) or Words(code, _UNKNOWN, "See the message.")
