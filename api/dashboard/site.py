"""All of the dashboard: its pages, their files, and what people see where something does not work."""

from __future__ import annotations

from fastapi import FastAPI

from api.dashboard import (
    actions,
    bulk,
    faults,
    login,
    machinery,
    overview,
    picture,
    scan_list,
    scan_page,
    static_files,
)

_PAGES = (login, overview, machinery, scan_list, bulk, scan_page, picture, actions)  # `/scans/retry` is no scan's page


def install(app: FastAPI) -> None:
    """Have the application serve it. After `api.problems.install`, whose problems people are told on pages."""
    for page in _PAGES:
        app.include_router(page.router)
    app.mount("/static", static_files.files, name="static")
    faults.install(app)
