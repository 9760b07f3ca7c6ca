"""The HTTP application. `uvicorn api.app:create_app --factory`"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from api import (
    direct_uploads,
    docs,
    health,
    metrics,
    openapi,
    operations,
    parts,
    problems,
    rescans,
    scans,
    stats,
    uploads,
    webhooks,
)
from api.bodies import SmallBodies
from api.dashboard import site
from api.dashboard.security import SecurityHeaders
from api.measured import Measured
from api.methods import Methods
from api.protocol import guard_connections
from api.requests import RequestIds
from api.stopping import LastAnswers, Stopping
from worker import telemetry
from worker.settings import Settings, load


def create_app(settings: Settings | None = None) -> FastAPI:
    """An application for one process; `settings` as the environment says, unless given."""
    telemetry.configure()
    stopping = Stopping()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.parts = held = parts.make(settings or load())
        telemetry.started("api")
        asyncio.get_running_loop().set_default_executor(held.store_threads)
        try:
            guard_connections()
            with stopping.before_uvicorn(held.waiting.release):
                yield
        finally:
            held.close()

    app = FastAPIOffline(  # which has the scripts of `/docs`; the page itself is ours
        docs_url=None,
        redoc_url=None,
        static_url=docs.STATIC,
        title="Lazaretto",
        version=version("lazaretto"),
        summary="Uploads are quarantined, scanned, and promoted or deleted.",
        description=openapi.DESCRIPTION,
        contact=openapi.CONTACT,
        license_info=openapi.LICENSE,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=openapi.operation_id,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    for module in (direct_uploads, uploads, operations, rescans, scans, stats, health, metrics, docs):
        app.include_router(module.router)
    app.webhooks.include_router(webhooks.router)
    problems.install(app)
    site.install(app)
    app.add_middleware(SmallBodies)
    app.add_middleware(Measured)
    app.add_middleware(Methods, router=app.router)
    openapi.install(app)
    app.add_middleware(LastAnswers, stopping=stopping)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestIds)
    return app
