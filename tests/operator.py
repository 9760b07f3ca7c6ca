"""An operator at the dashboard as HTTP sees them: cookies, forms, and what a browser says beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.server import Server
from tests.system import KEY

NAVIGATES = {"Accept": "text/html,application/xhtml+xml"}


@contextmanager
def browser(server: Server) -> Iterator[httpx.Client]:
    """Somebody who is not logged in; redirects are theirs to follow."""
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=NAVIGATES, timeout=30) as client:
        yield client


@contextmanager
def logged_in(server: Server, key: str = KEY) -> Iterator[httpx.Client]:
    """Somebody who is."""
    with browser(server) as client:
        assert client.post("/login", data={"key": key}).status_code == 303
        yield client


def token(client: httpx.Client) -> str:
    """What the forms of this session carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found
    return found[1]
