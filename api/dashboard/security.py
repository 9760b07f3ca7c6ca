"""Headers by which browsers protect operators, on every answer; the strictest that the pages can live with.

A page may load what comes from this origin and nothing else, and runs no script that stands in it (CSP level 3,
https://www.w3.org/TR/CSP3/). Whether a request came by TLS, the proxy in front says in `X-Forwarded-Proto`, which
uvicorn believes of whoever `FORWARDED_ALLOW_IPS` names (of this machine, unless it is set).
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def policy(*, scripts: str = "'self'", images: str = "'self'") -> str:
    """A content security policy; `scripts` and `images` say where these may come from."""
    sources = {"script": scripts, "style": "'self'", "img": images, "font": "'self'", "connect": "'self'"}
    return "; ".join(
        [
            "default-src 'none'",
            *(f"{kind}-src {allowed}" for kind, allowed in sources.items()),
            *(f"{what} 'none'" for what in ("base-uri", "frame-ancestors", "object-src")),
            "form-action 'self'",
        ]
    )


_ALWAYS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}  # a year


def headers(scheme: str) -> dict[str, str]:
    """What every answer carries that says nothing else; `scheme` is that of the request."""
    return _ALWAYS | (_HTTPS_ONLY if scheme == "https" else {})


class SecurityHeaders:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = MutableHeaders(scope=message)
                for name, value in headers(scope.get("scheme", "http")).items():
                    present.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
