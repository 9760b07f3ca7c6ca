"""Whole pages of the dashboard and answers of the API, as a browser on this machine waits for them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx
import uvicorn

from api.app import create_app
from api.protocol import Protocol
from ops.bench.questions import KEY, Sample
from ops.embedded.ports import choose
from worker.settings import Settings
from worker.store.database import Database

_NOWHERE = "127.0.0.1:9"  # neither store nor queue is asked: pages know scans from the database
_BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
_PAGES = (
    "/",
    "/?window=7d&service=photos",
    "/?window=30d",
    "/scans",
    "/scans?status=failed",
    "/scans?status=infected&status=rejected&service=legal",
    "/scans?type=image/jpeg&service=careers",
    "/scans?reason=type_mismatch",
    "/scans?q=IMG_",
    "/scans?q=invoice-12",
    "/scans?cursor={id}",
    "/scans/{id}",
    "/scans/retry?status=failed",
)
_ANSWERS = ("/v1/scans", "/v1/scans?cursor={id}&status=clean", "/v1/scans/{id}", "/v1/scans/{id}/events", "/v1/stats")
Ask = Callable[[int], None]


@contextmanager
def asked(database: Database, sample: Sample) -> Iterator[dict[str, Ask]]:
    """What can be asked for, by its address; the number says what it is about."""
    os.environ |= {"AWS_ENDPOINT_URL_S3": f"http://{_NOWHERE}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    url = database.engine.url.render_as_string(hide_password=False)
    settings = Settings.model_validate({"database_url": url, "redis_url": f"redis://{_NOWHERE}/0"})
    with _served(settings) as base, httpx.Client(base_url=base, headers=_BROWSER, timeout=60) as browser:
        logged_in = browser.post("/login", data={"key": KEY})
        assert logged_in.status_code == HTTPStatus.SEE_OTHER, logged_in.text  # noqa: S101 - else all is in vain
        pages = {f"page: {address}": _get(browser, address, sample, {}) for address in _PAGES}
        key = {"Authorization": f"Bearer {KEY}"}
        yield pages | {f"answer: {address}": _get(browser, address, sample, key) for address in _ANSWERS}


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    """The API on a socket of its own, in a thread; where it is."""
    port = choose(["api"])["api"]
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, log_config=None, http=Protocol))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _get(client: httpx.Client, address: str, sample: Sample, headers: dict[str, str]) -> Ask:
    def ask(turn: int) -> None:
        answer = client.get(address.format(id=sample.ids[turn % len(sample.ids)]), headers=headers)
        answer.raise_for_status()

    return ask
