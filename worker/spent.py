"""What something takes of the database and the store: counted in whichever thread it is spent, by the context of
whoever asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """What there was so far; times in seconds, from the call to its end, whatever was waited for."""

    statements: int = 0
    transactions: int = 0
    database: float = 0.0
    store: float = 0.0


_tally: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def counting() -> Iterator[Tally]:
    """Count what is asked inside, also by the threads and tasks that it starts with its context."""
    tally = Tally()
    outer = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(outer)


def present() -> Tally | None:
    """Where it is counted here; None: nowhere."""
    return _tally.get()


class InDatabase:
    """Around a transaction."""

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_fault: object) -> None:
        if tally := _tally.get():
            tally.database += time.perf_counter() - self._begun


class InStore:
    """Around a call to the object store."""

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_fault: object) -> None:
        if tally := _tally.get():
            tally.store += time.perf_counter() - self._begun
