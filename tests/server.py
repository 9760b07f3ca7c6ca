"""The API on a real socket, in a thread of the test's own process."""

from __future__ import annotations

import threading

import httpx
import uvicorn

from api.app import create_app
from ops.embedded.ports import choose
from tests.stack import until
from tests.system import KEY
from worker.settings import Settings


class Server:
    """The application under uvicorn, in a thread."""

    def __init__(self, settings: Settings) -> None:
        self.port = choose(["api"])["api"]
        config = uvicorn.Config(create_app(settings), port=self.port, log_config=None, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Server:
        self._thread.start()
        until(lambda: self._server.started, 10, "the API")
        return self

    def __exit__(self, *_fault: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def client(self, key: str = KEY) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)
