"""The API and the dashboard, as a stranger's requests find them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from http import HTTPStatus

import httpx

from ops.doctor.check import Check, Finding, danger, fail, judged, warn
from ops.doctor.subject import Subject

_NO_INLINE = ("'unsafe-inline'", "'unsafe-eval'")
_GUARDED = (("GET", "/v1/scans"), ("POST", "/v1/scans"), ("POST", "/v1/uploads"), ("PUT", "/v1/uploads/doctor.txt"))


def _ready(subject: Subject) -> Finding:
    answer = subject.api.get("/readyz")
    found = answer.json()
    faults = [f"{name}: {each['detail']}" for name, each in found["checks"].items() if each["status"] != "ok"]
    blame = fail if answer.status_code != HTTPStatus.OK else warn
    return judged(faults, f"{subject.url} is ready", blame)


def _headers(subject: Subject) -> Finding:
    """Of the first page that a browser is shown, and of an answer of the API."""
    page = subject.api.get("/", follow_redirects=True)
    answer = subject.api.get("/v1/scans")
    faults = [f"page: {fault}" for fault in (*_lacking(page), *_kept_by_caches(page))]
    faults += [f"API: {fault}" for fault in _lacking(answer)]
    return judged(faults, "all are there, on pages and answers", lambda told: danger(subject, told))


def _lacking(answer: httpx.Response) -> Iterator[str]:
    headers = answer.headers
    policy = headers.get("content-security-policy", "")
    if not policy:
        yield "no Content-Security-Policy"
    yield from (f"Content-Security-Policy has {word}" for word in _NO_INLINE if word in policy)
    if headers.get("x-content-type-options") != "nosniff":
        yield "no X-Content-Type-Options: nosniff"
    if "frame-ancestors" not in policy and "x-frame-options" not in headers:
        yield "may be framed"
    if "referrer-policy" not in headers:
        yield "no Referrer-Policy"
    if answer.url.scheme == "https" and "strict-transport-security" not in headers:
        yield "no Strict-Transport-Security"
    if re.search(r"\d", headers.get("server", "")):
        yield f"Server tells a version: {headers['server']}"


def _kept_by_caches(page: httpx.Response) -> Iterator[str]:
    if "no-store" not in page.headers.get("cache-control", ""):
        yield "no Cache-Control: no-store"


def _keys(subject: Subject) -> Finding:
    open_to_all = []
    for who, headers in (("no key", {}), ("a made-up key", {"Authorization": f"Bearer lz_{secrets.token_hex(20)}"})):
        for method, path in _GUARDED:
            status = subject.api.request(method, path, headers=headers).status_code
            if status != HTTPStatus.UNAUTHORIZED:
                open_to_all.append(f"{method} {path} with {who} answers {status}")
    return judged(open_to_all, "refused without a key, and with a made-up one")


CHECKS = (
    Check(
        name="api",
        what="the API, and what it says of itself",
        expected="/readyz answers 200 and ok",
        mend="start it; mend what is named",
        look=_ready,
    ),
    Check(
        name="http-headers",
        what="the headers of pages and answers, as they arrive here",
        expected="those that keep browsers from running, framing and guessing what they are sent",
        mend="have the proxy in front pass headers on as they are; set LAZARETTO_URL to the public address",
        look=_headers,
    ),
    Check(
        name="keys-needed",
        what="requests without a key",
        expected="401",
        mend="have nothing in front of the API add an Authorization header",
        look=_keys,
    ),
)
