"""One problem of each status, as the documentation shows it."""

from __future__ import annotations

from http import HTTPStatus

from api.problems import RETRY_SECONDS, Problem

_SHOWN = (
    Problem(
        HTTPStatus.BAD_REQUEST, "bad_request", "This is not HTTP/1.1 as we read it.", expected="HTTP/1.1 (RFC 9112)"
    ),
    Problem(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "The API key is missing, unknown, expired or revoked.",
        expected="Authorization: Bearer <key>",
    ),
    Problem(
        HTTPStatus.FORBIDDEN,
        "scope_missing",
        "This API key does not carry the scope submit.",
        expected="a key with submit",
    ),
    Problem(
        HTTPStatus.NOT_FOUND,
        "scan_not_found",
        "There is no such scan of this service.",
        expected="the id of a scan of your service",
    ),
    Problem(
        HTTPStatus.REQUEST_TIMEOUT,
        "upload_stalled",
        "The upload sent too little for too long, 4096 bytes so far; it can be sent again.",
        expected="a body without long pauses, of 1024 bytes a second at least",
        retryable=True,
    ),
    Problem(
        HTTPStatus.CONFLICT,
        "idempotency_in_flight",
        "Another request with this Idempotency-Key is being carried out; trying again can help.",
        expected="the same request again, once the other has ended",
        retryable=True,
    ),
    Problem(HTTPStatus.GONE, "deleted", "The bytes of this scan are deleted: it is infected."),
    Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "file_too_large",
        "The file is larger than 104857600 bytes.",
        expected="a file of at most 104857600 bytes",
    ),
    Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body is 'text/plain'.",
        expected="multipart/form-data with one field `file`",
    ),
    Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        "Not as it should be: query limit.",
        expected="query limit: Input should be less than or equal to 200",
    ),
    Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate_limited",
        "The service avatars sends too many requests.",
        expected="at most 600 requests in 60 seconds",
        retryable=True,
    ),
    Problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "request_header_fields_too_large",
        "The head of the request is larger than 65536 bytes.",
        expected="a request line and headers of at most 65536 bytes together",
    ),
    Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong on our side; the log has it under this request id.",
        retryable=True,
    ),
    Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "object_store_unavailable",
        "The object store does not answer; trying again can help.",
        expected=f"the same request again, after {RETRY_SECONDS} s",
        retryable=True,
    ),
)
PROBLEMS = {each.status: each for each in _SHOWN}
