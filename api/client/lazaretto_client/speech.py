"""How one speaks with the API: what goes into a request, and what an answer says."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from lazaretto_client.faults import Problem

T = TypeVar("T")


def read(answer: httpx.Response, make: Callable[[Any], T]) -> T:
    """What the answer says. Raises `Problem` where it is not what this API says."""
    try:
        return make(answer.json() if answer.content else {})
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        detail = f"{answer.url} does not answer as Lazaretto does ({fault!r})"
        raise Problem(answer.status_code, "unexpected_answer", detail) from fault


def given(**values: Any) -> dict[str, Any]:
    """Those that are."""
    return {name: value for name, value in values.items() if value is not None}


def segment(text: str) -> str:
    """One segment of a path, whatever it holds; undecodable names of files keep their bytes (PEP 383)."""
    quoted = quote(text, safe="", errors="surrogateescape")
    return quoted.replace(".", "%2E") if text in (".", "..") else quoted  # a path of dots would be resolved


def new_key() -> str:
    """For a request that may have to be sent again."""
    return str(uuid.uuid4())
