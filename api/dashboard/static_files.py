"""Scripts, styles and pictures of the dashboard, out of this package."""

from __future__ import annotations

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api.dashboard.pages import STATIC


class Cached(StaticFiles):
    """Their addresses name their content: browsers need not ask again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if scope["query_string"]:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


files = Cached(directory=STATIC)
