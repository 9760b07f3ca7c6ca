"""Starts services, waits until they are ready, brings back those that die, and stops them all."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Self

from ops.embedded.faults import Interrupted, StackFault
from ops.embedded.guard import Guard
from ops.embedded.process import Process, end_group, tail
from ops.embedded.service import Service

Say = Callable[[str], None]
_POLL = 0.05  # seconds between two looks while something is awaited
_TEND = 0.25  # seconds between two looks while all is well
_LONGEST_PAUSE = 15.0  # seconds before a dead child starts again
_HEALTHY = 60.0  # seconds of life after which a death counts as the first again


@dataclass
class _Child:
    """A process, and where it stands."""

    process: Process
    pause: float
    started: float = field(default_factory=time.monotonic)
    restart_at: float | None = None
    answering: bool = False

    @property
    def name(self) -> str:
        return self.process.service.name


class Supervisor:
    """Owns a set of services, in the order of their start. A context: what it started ends with it.

    `say` gets one short line for everything an operator should know. `first_pause` is how long, in seconds, a child
    that died waits for its restart; each further death doubles it, up to `longest_pause`.
    """

    def __init__(
        self, logs: Path, say: Say, *, first_pause: float = 0.5, longest_pause: float = _LONGEST_PAUSE
    ) -> None:
        self._logs = logs
        self._say = say
        self._first_pause, self._longest_pause = first_pause, longest_pause
        self._launches: list[list[_Child]] = []
        self._guard = Guard()
        self._stopping = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def interrupt(self) -> None:
        """Make whatever is being waited for end; safe in a signal handler."""
        self._stopping.set()

    def launch(self, *services: Service) -> None:
        """Start services without waiting for them."""
        self._logs.mkdir(parents=True, exist_ok=True)
        together: list[_Child] = []
        self._launches.append(together)
        for service in services:
            process = Process(service, self._logs / f"{service.name}.log", self._guard)
            together.append(_Child(process, self._first_pause))
            process.start()

    def await_ready(self) -> None:
        """Wait until everything launched is ready.

        Raises `StackFault` with the last lines of its log for a service that ends or takes too long, and
        `Interrupted` when asked to stop.
        """
        while waiting := [child for child in self._children() if not child.answering]:
            for child in waiting:
                child.answering = child.process.service.ready()
                _demand_life(child)
            if self._stopping.wait(_POLL):
                raise Interrupted

    def start(self, *services: Service) -> None:
        """Start services and wait until they are ready. Raises like `await_ready`."""
        self.launch(*services)
        self.await_ready()

    def run(self, command: list[str], environment: Mapping[str, str], log: Path | None = None) -> int:
        """Run a program to its end; its output goes to `log`, or is shown. Returns its exit code.

        Raises `Interrupted` when asked to stop; the program is ended then.
        """
        with log.open("wb") if log else nullcontext() as output:
            program = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        self._guard.watch(program.pid)
        try:
            while (code := program.poll()) is None:
                if self._stopping.wait(_POLL):
                    raise Interrupted
            return code
        finally:
            end_group(program)
            self._guard.forget(program.pid)

    def watch(self) -> None:
        """Keep everything running until `interrupt`."""
        while not self._stopping.wait(_TEND):
            for child in self._children():
                self._tend(child)

    def stop(self) -> None:
        """End everything: what was launched together ends together, the last first. Nothing is left running."""
        while self._launches:
            together = self._launches.pop()
            for child in together:
                child.process.ask_to_stop()
            for child in together:
                child.process.stop()
        self._guard.close()

    def pid(self, name: str) -> int | None:
        """The process of the service with this name, while it runs."""
        return next((child.process.pid for child in self._children() if child.name == name), None)

    def _children(self) -> list[_Child]:
        return [child for together in self._launches for child in together]

    def _tend(self, child: _Child) -> None:
        now = time.monotonic()
        if child.restart_at is not None:
            if now >= child.restart_at:
                self._restart(child)
        elif (code := child.process.exit_code) is not None:
            self._bury(child, code)
        elif not child.answering and child.process.service.ready():
            child.answering = True
            self._say(f"{child.name} is back after {now - child.started:.1f} s")

    def _bury(self, child: _Child, code: int) -> None:
        now = time.monotonic()
        if now - child.started > _HEALTHY:
            child.pause = self._first_pause
        child.process.stop()  # whatever it left behind
        child.answering = False
        child.restart_at = now + child.pause
        self._say(
            f"{child.name} died ({_cause(code)}); starting it again in {child.pause:g} s, see {child.process.log}"
        )
        child.pause = min(child.pause * 2, self._longest_pause)

    def _restart(self, child: _Child) -> None:
        child.restart_at = None
        child.started = time.monotonic()
        child.process.start()


def _demand_life(child: _Child) -> None:
    if child.answering:
        return
    process, service = child.process, child.process.service
    if (code := process.exit_code) is not None:
        problem = f"ended ({_cause(code)}) before it was ready"
    elif time.monotonic() - child.started > service.ready_seconds:
        problem = f"is not ready after {service.ready_seconds:g} s"
    else:
        return
    raise StackFault(f"{service.name} {problem}; the end of {process.log}:\n{tail(process.log)}")


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
