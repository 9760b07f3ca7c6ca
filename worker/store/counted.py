"""How many statements and transactions something takes (`worker.spent`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event

from worker import spent


def count(engine: Engine) -> None:
    """Have the transactions of an engine counted, and its statements without those that begin and end one."""
    event.listen(engine, "before_cursor_execute", _add)
    event.listen(engine, "begin", _begin)


def _add(_connection: Any, _cursor: Any, statement: str, *_more: object) -> None:
    tally = spent.present()
    if tally is not None and not statement.startswith("BEGIN"):
        tally.statements += 1


def _begin(_connection: Any) -> None:
    tally = spent.present()
    if tally is not None:
        tally.transactions += 1
