"""What an S3 store's faults mean: an outage, a store that refuses us, or something about the object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from worker.errors import ContentChanged, ObjectMissing, Permanent, StoreRefuses, StoreUnavailable
from worker.spent import InStore

_MISSING = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchUpload"})
_CHANGED = frozenset({"PreconditionFailed", "412"})
_PASSING = frozenset({408, 409, 425, 429})  # client errors that are over when the rush is
# About us, not about this call (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html); "400" and "403"
# are all that an answer without a body, to HEAD, says.
_REFUSED = frozenset(
    {
        "400",
        "401",
        "403",
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "NoSuchBucket",
        "NotSignedUp",
        "PermanentRedirect",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)


@contextmanager
def faults_told(what: str) -> Iterator[None]:
    """Whatever boto3 raises inside is raised as one of ours. `what`: the object or bucket that was asked for."""
    try:
        with InStore():
            yield
    except ClientError as fault:
        raise _translated(fault, what) from fault
    except (BotoCoreError, HTTPClientError, OSError) as fault:
        raise StoreUnavailable(f"{what}: the object store does not answer ({fault}); trying again can help") from fault


def _translated(fault: ClientError, what: str) -> Exception:
    code = str(fault.response.get("Error", {}).get("Code", ""))
    if code in _MISSING:
        return ObjectMissing(f"{what}: there is no such object")
    if code in _CHANGED:
        return ContentChanged(f"{what}: the object is not the one on record")
    if code in _REFUSED:
        fitting = "credentials, buckets and a clock that fit"
        return StoreRefuses(f"{what}: the object store refuses us ({code})", expected=fitting)
    status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if 400 <= status < 500 and status not in _PASSING:
        return Permanent(f"{what}: the object store refuses the call ({code or fault})")
    return StoreUnavailable(f"{what}: the object store answered {code or fault}; trying again can help")
