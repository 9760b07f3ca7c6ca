"""The OpenAPI document: what FastAPI knows of each route, completed by what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.examples import PROBLEMS
from api.problems import RETRY_SECONDS, ProblemBody, body_of

Node = dict[str, Any]  # a piece of the document

DESCRIPTION = """\
Upload a file, and learn what became of it: `clean` files lie in the clean bucket, all others are deleted or held.

Every error is a problem (RFC 9457): `code` is for programs, `expected` says what would have been accepted, and
`retryable` whether the same request may be sent again, after `Retry-After` seconds where that is given.

Where too many files wait already, uploads are refused with 503 `overloaded` before a byte of them is read. What was
accepted ends all the same, and a request that is sent again with its `Idempotency-Key` is still answered.
"""
TAGS = [
    {"name": "uploads", "description": "Files come in."},
    {"name": "scans", "description": "What became of them, and the way to what was promoted."},
    {"name": "operations", "description": "What operators do about files that are held, or were promoted."},
    {"name": "statistics", "description": "How many, how fast, and how things stand."},
    {"name": "webhooks", "description": "What services are told, where their policy names a URL."},
    {"name": "health", "description": "For load balancers and monitoring; no key is needed."},
]
CONTACT = {"name": "Whoever operates this installation"}
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}

_EVERYWHERE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
_WITH_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_PROBLEM = {"$ref": "#/components/schemas/ProblemBody"}
_SCAN = "#/components/schemas/ScanView"
_KEY = "Idempotency-Key"
_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "Names this request in logs, events and webhooks: at most 128 letters, digits and `_.:/+=@-`. "
    "Whatever else comes, and nothing, is replaced by an id of ours; the answer has the one that counts.",
    "schema": {"type": "string"},
    "example": "checkout-7c1f",
}
_HEADERS: dict[str, tuple[str, Any]] = {
    "X-Request-ID": ("The request's id, as it was given or as we made it.", "checkout-7c1f"),
    "Retry-After": ("Seconds after which it is worth asking again.", str(RETRY_SECONDS)),
    "Allow": ("What may be asked of this path.", "GET, HEAD, OPTIONS"),
    "WWW-Authenticate": ("How to say who you are (RFC 6750).", "Bearer"),
    "RateLimit-Policy": ("What the service is limited to, where it is.", '"requests";q=600;w=60'),
    "Server-Timing": (
        "Milliseconds: in all, without what you were waited for, in the database, and in the object store.",
        'total;dur=9.8, db;dur=4.1;desc="3 transactions, 8 statements", store;dur=2.9',
    ),
    "RateLimit": ("What is left of that.", '"requests";r=599;t=60'),
    "Idempotency-Replayed": ("`true` where this request had been accepted before.", "true"),
    "Location": ("Where the promoted object is to be had.", "https://store.example/clean/avatars/0199"),
    "Cache-Control": ("The address is for now, and for you.", "no-store"),
}
_LINKS = {"get_scan": "whether it has ended", "get_events": "how it went", "get_content": "what was promoted"}
_ALWAYS = frozenset({"X-Request-ID"})  # an answer without it is wrong; every other header depends
_HEADERS_OF = {
    HTTPStatus.TEMPORARY_REDIRECT: ("Location", "Cache-Control"),
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.CONFLICT: ("Retry-After",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}


def operation_id(route: APIRoute) -> str:
    """The name of the function: what a generated client calls its method."""
    return route.name


def install(app: FastAPI) -> None:
    """Have the application serve the completed document."""

    def document() -> Node:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(_from_routes(app))
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's manual has it


def _from_routes(app: FastAPI) -> Node:
    return get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        webhooks=app.webhooks.routes,
        tags=app.openapi_tags,
        servers=[{"url": "/", "description": "The installation that serves this document."}],
        contact=app.contact,
        license_info=app.license_info,
    )


def _completed(document: Node) -> Node:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["ProblemBody"] = ProblemBody.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own form of a problem
        schemas.pop(unused, None)
    components["headers"] = {name: _header(name) for name in _HEADERS}
    components["parameters"] = {"RequestId": _REQUEST_ID}
    components["responses"] = {each.name: _problem(each) for each in PROBLEMS}
    for operation in _operations(document):
        _complete(operation)
    return document


def _operations(document: Node) -> Iterator[Node]:
    for path in document["paths"].values():
        yield from path.values()


def _complete(operation: Node) -> None:
    parameters = operation.setdefault("parameters", [])
    for each in parameters:
        each["schema"] = _not_null(each["schema"])
    responses = operation["responses"]
    for status in _EVERYWHERE:
        responses.setdefault(str(int(status)), {})
    for status in _WITH_BODY if "requestBody" in operation else ():
        responses.setdefault(str(int(status)), {})
    if any(each["name"] == _KEY for each in parameters):
        responses.setdefault(str(int(HTTPStatus.CONFLICT)), {})
    for status, response in list(responses.items()):
        responses[status] = _response(operation, HTTPStatus(int(status)), response)
    operation["responses"] = dict(sorted(responses.items()))
    parameters.append({"$ref": "#/components/parameters/RequestId"})


def _response(operation: Node, status: HTTPStatus, response: Node) -> Node:
    """A problem without a schema of its own is the same everywhere."""
    if status >= HTTPStatus.BAD_REQUEST and "content" not in response:
        return {"$ref": f"#/components/responses/{status.name}"}
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.TEMPORARY_REDIRECT):
        response.pop("content", None)
    names = ["X-Request-ID", *_HEADERS_OF.get(status, ())]
    if "security" in operation:
        names += ["Server-Timing", "RateLimit-Policy", "RateLimit"]
    if status < HTTPStatus.MULTIPLE_CHOICES and any(each["name"] == _KEY for each in operation["parameters"]):
        names.append("Idempotency-Replayed")
    answer = response | {"headers": _references(names)}
    leads = status is HTTPStatus.ACCEPTED and _SCAN in str(response.get("content"))
    return answer | {"links": _links()} if leads else answer


def _links() -> Node:
    """From a scan that was accepted to what became of it."""
    leads = {"scan_id": "$response.body#/id"}
    return {name: {"operationId": name, "parameters": leads, "description": what} for name, what in _LINKS.items()}


def _problem(status: HTTPStatus) -> Node:
    example = body_of(PROBLEMS[status], "checkout-7c1f").model_dump()
    names = ["X-Request-ID", "Server-Timing", "RateLimit-Policy", "RateLimit", *_HEADERS_OF.get(status, ())]
    return {
        "description": PROBLEMS[status].detail,
        "content": {"application/problem+json": {"schema": _PROBLEM, "example": example}},
        "headers": _references(names),
    }


def _references(names: list[str]) -> Node:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(name: str) -> Node:
    description, example = _HEADERS[name]
    return {
        "description": description,
        "required": name in _ALWAYS,
        "schema": {"type": "string"},
        "example": example,
    }


def _not_null(schema: Node) -> Node:
    """A parameter that may be left out cannot be null in HTTP, whatever it is in Python."""
    options: list[Node] = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(options) != 1:
        return schema
    return {name: value for name, value in schema.items() if name != "anyOf"} | options[0]
