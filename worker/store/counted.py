"""How many statements and transactions something takes, counted in whichever thread they are sent, by its context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event


@dataclass(slots=True)
class Tally:
    """What there was so far."""

    statements: int = 0
    transactions: int = 0


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


def count(engine: Engine) -> None:
    """Have the transactions of an engine counted, and its statements without those that begin and end one."""
    event.listen(engine, "before_cursor_execute", _add)
    event.listen(engine, "begin", _begin)


def _add(_connection: Any, _cursor: Any, statement: str, *_more: object) -> None:
    tally = _tally.get()
    if tally is not None and not statement.startswith("BEGIN"):
        tally.statements += 1


def _begin(_connection: Any) -> None:
    tally = _tally.get()
    if tally is not None:
        tally.transactions += 1
