"""What the supervisor needs to know about a program that it keeps running."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path


class Service(ABC):
    """A program that starts, becomes ready at an address, and stops on a signal.

    `ready_seconds` is how long it may take to become ready, `stop_seconds` how long to stop before it is killed.
    """

    name: str
    ready_seconds: float = 30
    stop_seconds: float = 5
    stop_signal: signal.Signals = signal.SIGTERM
    account: str | None = None  # whom it runs as; None: ourselves

    @abstractmethod
    def command(self) -> list[str]:
        """The command line; secrets do not belong here, everybody can read it."""

    @abstractmethod
    def ready(self) -> bool:
        """Does it do its work? Asked again and again until it says yes; never raises."""

    def prepare(self) -> None:  # noqa: B027 (most have nothing to write)
        """Write what the program needs to start. Called before every start."""

    def clear(self) -> None:  # noqa: B027 (most leave nothing)
        """Remove what the program leaves behind. Called after every stop."""

    def environment(self) -> Mapping[str, str]:
        """What it finds in its environment beside the bare necessities."""
        return {}

    def folder(self) -> Path:
        """Its working directory."""
        return Path.cwd()
