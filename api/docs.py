"""`/docs`: the API described to people, by Swagger UI out of a package; no other host is asked for anything."""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response

from api.dashboard.security import policy

STATIC = "/static-offline-docs"  # where `fastapi-offline` serves Swagger UI
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs(request: Request) -> Response:
    """The page, whose one script of its own may run because its hash is known."""
    answer = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{request.app.title}: the API",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
    )
    answer.headers["Content-Security-Policy"] = _policy(answer)
    return answer


def _policy(page: HTMLResponse) -> str:
    """Swagger UI draws its arrows from `data:` addresses, which are no scripts."""
    digests = (hashlib.sha256(script).digest() for script in _SCRIPT.findall(bytes(page.body)))
    hashes = (f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return policy(scripts=" ".join(["'self'", *hashes]), images="'self' data:")
