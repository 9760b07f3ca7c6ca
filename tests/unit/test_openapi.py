"""The document itself: whoever reads it, or makes a client from it, finds nothing unexplained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api.app import create_app
from worker.settings import Settings

Node = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Node:
    return create_app(Settings(_env_file=None)).openapi()


def _operations(document: Node) -> Iterator[Node]:
    for path in (*document["paths"].values(), *document["webhooks"].values()):
        yield from path.values()


def test_every_parameter_is_described_and_shown(document: Node) -> None:
    parameters = [each for operation in _operations(document) for each in operation["parameters"] if "name" in each]
    assert parameters
    for each in [*parameters, *document["components"]["parameters"].values()]:
        assert each.get("description"), each
        assert {"example", "examples"} & (set(each) | set(each["schema"])), each
        assert "null" not in str(each["schema"]), each


def test_every_member_of_every_schema_is_shown(document: Node) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
        for member, described in schema.get("properties", {}).items():
            assert "examples" in described or "$ref" in str(described), f"{name}.{member}"


def test_whatever_is_referred_to_is_there(document: Node) -> None:
    references = list(_values(document, "$ref"))
    assert references
    for reference in references:
        found = document
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]
    names = {operation["operationId"] for operation in _operations(document)}
    links = list(_values(document, "operationId"))
    assert set(links) == names


def test_a_key_is_asked_for_on_everything_under_v1_and_nowhere_else(document: Node) -> None:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) is path.startswith("/v1/"), path
            assert ("Scope: `" in operation["description"]) is path.startswith("/v1/"), path


def _values(node: Any, name: str) -> Iterator[str]:
    """Every value of this name, at any depth."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _values(inner, name)
    if isinstance(node, dict) and isinstance(node.get(name), str):
        yield node[name]
