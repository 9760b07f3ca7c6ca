"""What can go wrong: each says what failed, and whether the same call can help."""

from __future__ import annotations

from lazaretto_client.records import Scan


class LazarettoError(Exception):
    """Everything that this package raises on purpose."""

    retryable = False  # may the same call be made again?
    retry_after: float | None = None  # seconds to wait before, where the server says so
    expected: str | None = None  # what would have been accepted, where somebody can act on it


class Unreachable(LazarettoError):
    """No answer: nobody listens, the connection broke, or time ran out."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class Problem(LazarettoError):
    """The server refused (RFC 9457). `code` is for programs, `detail` and `expected` are for people."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        expected: str | None = None,
        retryable: bool = False,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.expected, self.retryable = expected, retryable
        self.request_id, self.retry_after = request_id, retry_after


class WaitTimeout(LazarettoError):
    """The scan has not ended in time; it goes on. `scan` is how it was seen last."""

    retryable = True

    def __init__(self, scan: Scan, seconds: float) -> None:
        super().__init__(f"scan {scan.id} has not ended in {seconds:g} s: it is {scan.status}")
        self.scan = scan


class WebhookInvalid(LazarettoError):
    """The webhook does not come from Lazaretto, is too old, or is not what was sent."""
