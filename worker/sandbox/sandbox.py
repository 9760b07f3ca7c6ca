"""The sandbox as the pipeline sees it: two questions about bytes that nobody trusts."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import cast

from worker.errors import SandboxFailed, SandboxUnavailable
from worker.sandbox import endings
from worker.sandbox.answers import OUTPUT_TYPES, USUAL, ImageLimits, Reencoded, Refused, Sniffed, Treatment
from worker.sandbox.endings import Kill
from worker.sandbox.launcher import ForkServer, ServerLost
from worker.sandbox.wire import Call, Ending, Request

MINIMUM_MEMORY = 256 * 1024 * 1024  # bytes of address space; the decoders alone take 150 MiB


class Sandbox:
    """One fork server and its children; one instance per worker process, safe to call from several threads.

    The server starts with the first call, and again after it was lost. Calls wait for each other.
    """

    def __init__(
        self,
        *,
        memory: int,
        seconds: float,
        output: int,
        every_layer: bool = False,
        on_kill: Callable[[Kill], None] = lambda _: None,
    ) -> None:
        """Limits of one call: bytes of address space, seconds of wall clock, bytes written.

        `every_layer`: work only where the kernel has Landlock and seccomp. `on_kill` is told why a call was ended.
        Raises `ValueError` for less memory than an idle child takes: every image would look broken.
        """
        if memory < MINIMUM_MEMORY:
            raise ValueError(f"a sandbox cannot run in {memory} bytes of memory, expected at least {MINIMUM_MEMORY}")
        self._memory, self._seconds, self._output, self._every_layer = memory, seconds, output, every_layer
        self._on_kill = on_kill
        self._server: ForkServer | None = None
        self._interrupted = False
        self._lock = threading.Lock()

    def missing_layers(self) -> tuple[str, ...]:
        """The layers of confinement that this machine cannot give, each with the reason.

        Raises `SandboxUnavailable`, also where `every_layer` is asked for and one is missing."""
        with self._lock:
            return self._started().missing

    def sniff(self, source: int) -> Sniffed:
        """What type is it? `source`: the descriptor of a file or memfd; its position neither matters nor moves.

        Raises `SandboxFailed`, also where libmagic crashes or takes too long: that is no finding that anybody
        could act on.
        """
        request = Request(Call.SNIFF, self._memory, self._seconds, output=0)
        answer = endings.answer(request, self._call(request, source))
        if isinstance(answer, Sniffed):
            return answer
        raise SandboxFailed(f"the type of the file could not be told: {cast('Refused', answer).message}")

    def reencode(
        self, source: int, target: int, media_type: str, limits: ImageLimits, treatment: Treatment = USUAL
    ) -> Reencoded | Refused:
        """Decode an image of the sniffed `media_type`, a key of `OUTPUT_TYPES`, and encode it anew.

        `target`: the descriptor of an empty file or memfd, readable and writable. It is written from its start,
        unless the treatment is to keep the original; after a refusal it holds rubbish.
        Raises `SandboxFailed` for anything that says nothing about the file, `ValueError` for any other media type.
        """
        if media_type not in OUTPUT_TYPES:
            raise ValueError(f"{media_type} cannot be re-encoded, expected one of {', '.join(OUTPUT_TYPES)}")
        request = Request(
            Call.REENCODE,
            self._memory,
            self._seconds,
            self._output,
            media_type=media_type,
            limits=limits,
            treatment=treatment,
        )
        return cast("Reencoded | Refused", endings.answer(request, self._call(request, source, target)))

    def interrupt(self) -> None:
        """End the call that is going on, with its child; whoever waits for it gets `SandboxFailed`. From another
        thread."""
        server = self._server
        if server is not None and self._lock.locked():
            self._interrupted = True
            server.kill()

    def close(self) -> None:
        """End the server. A later call would start it again."""
        with self._lock:
            self._stop()

    def _call(self, request: Request, source: int, *target: int) -> Ending:
        # Opened anew: a hijacked decoder cannot write through it, nor move the position of whoever else reads.
        readable = os.open(f"/proc/self/fd/{source}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with self._lock:
                return self._run(request, (readable, *target))
        finally:
            os.close(readable)

    def _run(self, request: Request, files: tuple[int, ...]) -> Ending:
        server = self._started()
        self._interrupted = False
        try:
            ending = server.run(request, files)
        except ServerLost as error:
            self._stop()
            self._on_kill(Kill.INTERRUPTED if self._interrupted else Kill.SERVER_LOST)
            raise SandboxFailed(f"{error}; trying again can help") from error
        if killed := endings.kill(ending):
            self._on_kill(killed)
        return ending

    def _started(self) -> ForkServer:
        """Raises `SandboxUnavailable`."""
        try:
            server = self._running_server()
        except ServerLost as error:
            raise SandboxUnavailable(f"{error}; trying again can help") from error
        if self._every_layer and server.missing:
            raise SandboxUnavailable(
                f"the sandbox lacks {', '.join(server.missing)}; expected a kernel, and a container around it, that "
                "allow Landlock and seccomp"
            )
        return server

    def _running_server(self) -> ForkServer:
        if self._server is not None and self._server.owner != os.getpid():
            self._server.disown()  # this process was forked from the one that started it
            self._server = None
        if self._server is None:
            self._server = ForkServer()
        return self._server

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
