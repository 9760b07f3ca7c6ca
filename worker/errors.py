"""Outages, as opposed to verdicts: what went wrong with us, and whether trying again can help.

A finding about a file is a value (`worker.scan.Reason`); everything here is raised. The docstring of an
exception is its default message.
"""

from __future__ import annotations


class LazarettoError(Exception):
    """Lazaretto could not do what was asked."""

    code = "internal_error"
    retryable = False
    expected: str | None = None  # what would have been accepted, where somebody can act on it

    def __init__(self, message: str | None = None, *, expected: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)
        if expected is not None:
            self.expected = expected

    @property
    def message(self) -> str:
        """Everything that is known; for the log, and for whoever asked."""
        return str(self)


class Internal(LazarettoError):
    """Something behind the API failed. Its message names our addresses, so only the log has it."""

    @property
    def public(self) -> str:
        """What everybody may read: the kind of fault, in the words of its class."""
        return " ".join((type(self).__doc__ or "").split())


class Transient(Internal):
    """A dependency failed while this file was being worked on; trying again can help."""

    code = "dependency_failed"
    retryable = True
    counts = True  # does it use up one of the file's attempts?


class Unavailable(Transient):
    """A dependency could not be reached at all, so this file cannot be the cause."""

    code = "dependency_unavailable"
    counts = False


class Permanent(Internal):
    """Something has to be mended on our side before trying again can help."""

    code = "permanent_fault"


class LeaseLost(LazarettoError):
    """Somebody else owns this scan now; stop quietly."""

    code = "lease_lost"


class LeaseOver(Unavailable):
    """The lease on the scan could not be renewed in time; it is handed back."""

    code = "lease_over"


class Stopped(Unavailable):
    """The worker was stopped; the scan is handed back."""

    code = "worker_stopped"


class TimeLimitExceeded(Transient):
    """The scan took longer than its time limit; trying again can help."""

    code = "time_limit_exceeded"


class StoreUnavailable(Unavailable):
    """The object store does not answer; trying again can help."""

    code = "object_store_unavailable"


class StoreRefuses(StoreUnavailable):
    """The object store refuses us; every file waits until credentials, buckets and clocks fit."""

    code = "object_store_refuses"


class DatabaseUnavailable(Unavailable):
    """The database does not answer; trying again can help."""

    code = "database_unavailable"


class QueueUnavailable(Unavailable):
    """The task queue does not answer; the work is on record and the sweeper hands it over later."""

    code = "queue_unavailable"


class ScannerUnavailable(Unavailable):
    """No scanner takes work; the file waits until one does."""

    code = "scanner_unavailable"


class ScannerFailed(Transient):
    """The scanner failed after it was given this file; trying again can help."""

    code = "scanner_failed"


class SandboxUnavailable(Unavailable):
    """The sandbox cannot be started; trying again can help."""

    code = "sandbox_unavailable"


class SandboxFailed(Transient):
    """The sandbox failed without saying anything about the file; trying again can help."""

    code = "sandbox_failed"


class ScratchChanged(Transient):
    """What was to be promoted is not what was examined; trying again can help."""

    code = "scratch_changed"


class ObjectMissing(Internal):
    """There is no such object."""

    code = "object_missing"


class ContentChanged(Internal):
    """The object is not the bytes on record."""

    code = "content_changed"


class ReencodingChanged(LazarettoError):
    """Re-encoding gave other bytes than those that were proven clean; the scan starts over."""

    code = "reencoding_changed"
    retryable = True


class NoSuchService(LazarettoError):
    """There is no such service."""

    code = "service_not_found"
    expected = "a name that `lazaretto services list` shows"


class WrongStatus(LazarettoError):
    """The scan is not in a state in which this can be done."""

    code = "wrong_status"


class NothingHeld(LazarettoError):
    """The bytes of this scan are not held in quarantine any more."""

    code = "nothing_held"
    expected = "a scan whose bytes are held; they went by policy or retention, and must be uploaded again"
