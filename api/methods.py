"""HEAD and OPTIONS everywhere, and which methods a path knows (RFC 9110, 9.3.2, 9.3.7 and 10.2.1)."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Match, Router
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Methods:
    """ASGI middleware: HEAD is GET whose body the server leaves out; OPTIONS tells what a path knows."""

    def __init__(self, app: ASGIApp, router: Router) -> None:
        self._app, self._router = app, router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("HEAD", "OPTIONS"):
            allowed = allowed_methods(self._router, scope)
            if scope["method"] == "OPTIONS" and allowed:
                await Response(status_code=204, headers={"Allow": ", ".join(allowed)})(scope, receive, send)
                return
            if scope["method"] == "HEAD" and "GET" in allowed:
                scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def allowed_methods(router: Router, scope: Scope) -> list[str]:
    """What may be asked of the path; empty for one that does not exist. Starlette itself tells of one route only."""
    known = [method for method in _METHODS if _knows(router, {**scope, "method": method})]
    if not known:
        return []
    head = ["HEAD"] if "GET" in known and "HEAD" not in known else []
    return [*known, *head, "OPTIONS"]


def _knows(router: Router, scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in router.routes)
